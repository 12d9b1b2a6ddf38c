"""What a promotion says: the file under gitops/models that pins a model, and the comparison that it stands on."""

import msgspec

from steps.model.job import ModelRef


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of two models on the same samples."""

    measure: str
    champion: float
    challenger: float
    difference: float
    """Challenger less champion."""
    low: float
    """Of its 95 % interval."""
    high: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on samples that neither had seen when it was asked."""

    split: str
    """What was held out."""
    samples: int
    units: int
    """Held out whole; the interval is of drawing them again."""
    left_out: int
    """More samples in common, held out in other folds; those compared were held out in identical ones."""
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...] = ()
    """Why the challenger is worse; empty when it is not."""


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """The file gitops/models/NAME.json."""

    name: str
    version: str
    digest: str
    over: str = ""
    """The champion's version that it was compared with; empty when there was none."""
    comparison: Comparison | None = None

    @property
    def ref(self) -> ModelRef:
        """What a request is pinned to."""
        return ModelRef(
            name=self.name, version=self.version, digest=self.digest, href=f"models:/{self.name}/{self.version}"
        )
