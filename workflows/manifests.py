"""Every manifest by its file name, as text: the same input gives the same bytes."""

from typing import Any

import yaml

from workflows.kit import Built
from workflows.templates import clean_storage, import_baselines, map_aoi, refresh_season, train_model

BUILDERS = {
    "map-aoi.yaml": map_aoi.build,
    "train-model.yaml": train_model.build,
    "import-baselines.yaml": import_baselines.build,
    "clean-storage.yaml": clean_storage.build,
    "clean-storage-nightly.yaml": clean_storage.build_clock,
    "refresh-season.yaml": refresh_season.build,
}
LIST = "kustomization.yaml"
_FIRST = ("apiVersion", "kind", "metadata", "name", "entrypoint", "template", "depends", "command", "args")
_HEAD = "# Made by `./task render` from workflows/; changes go there.\n"


def manifests() -> dict[str, str]:
    """File name to content, the list of them included."""
    made = {name: as_yaml(to_object(build())) for name, build in BUILDERS.items()}
    listed = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": sorted(made)}
    return made | {LIST: as_yaml(listed)}


def to_object(built: Built) -> dict[str, Any]:
    """The object as Kubernetes has it."""
    return _ordered(built.to_dict())


def _ordered(value: Any) -> Any:
    """Mappings with what names a thing at their beginning."""
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    return {key: _ordered(value[key]) for key in keys}


def as_yaml(document: dict[str, Any]) -> str:
    """Readable YAML: keys in the order of their making, long texts as blocks."""
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, and no value is written by reference to another."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """See yaml.Emitter."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, _data: Any) -> bool:
        """See yaml.Representer."""
        return True
