"""What the registry says of a model's versions, and what waits to be told to it."""

import msgspec

from steps.model.job import ModelRef


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model's name."""

    name: str
    version: str
    digest: str
    """Of all that changes pixels; empty for a version that GeoCrop did not make."""
    files: str = ""
    """Digest of all files of its folder."""
    aliases: tuple[str, ...] = ()
    """champion, challenger, or others."""
    overall: float | None = None
    """Overall accuracy of the card's first split."""
    balanced: float | None = None
    """Mean recall of the classes, likewise."""
    split: str = ""
    """What that split held out."""
    when: str = ""
    """Day of registration, as 2026-05-31."""
    drift: str = ""
    """The verdict on the last map that it made."""
    former: str = ""
    """The champion that it was promoted over."""
    run: str = ""
    """MLflow's id of its training run, which holds its files."""

    @property
    def ref(self) -> ModelRef:
        """Pinned to this version; the address is the same on every machine."""
        return ModelRef(
            name=self.name, version=self.version, digest=self.digest, href=f"models:/{self.name}/{self.version}"
        )


class MapNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be logged of one map; waits as a file until the registry takes it."""

    job: str
    model: ModelRef
    metrics: dict[str, float]
    tags: dict[str, str]
    when: int
    """Milliseconds since 1970."""
    kind: str = "map"
    """map or assessment: what is told."""
