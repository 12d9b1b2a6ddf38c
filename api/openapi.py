"""Writes `api/openapi.json`, or with `--check` says whether it is up to date."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from api.app import make_app
from api.context import make_context
from api.schemas import LogLine, PhaseEvent, PlannedEvent, TilesEvent
from api.settings import ApiSettings
from steps.settings import Settings

FILE = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """The document, with the structs of streams, which no operation returns as such."""
    with tempfile.TemporaryDirectory() as home:
        app = make_app(make_context(ApiSettings(auth="on"), Settings(home=Path(home))))
    made: dict[str, Any] = app.openapi_schema.to_schema()
    _, parts = msgspec.json.schema_components(
        (PhaseEvent, PlannedEvent, TilesEvent, LogLine), ref_template="#/components/schemas/{name}"
    )
    made["components"]["schemas"] = {**parts, **made["components"]["schemas"]}
    made["paths"]["/api/v1/aois/convert"]["post"]["requestBody"] = _UPLOAD
    return made


_UPLOAD = {
    "required": True,
    "description": "The file's bytes: GeoJSON, KML, KMZ, GeoPackage or a zipped shapefile",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def main() -> int:
    """0 when the file is (now) up to date."""
    text = json.dumps(document(), indent=1, sort_keys=True) + "\n"
    if "--check" not in sys.argv:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{FILE} is out of date: run `python -m api.openapi`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
