"""Assesses a map of the server of serve.py: `assess.py FOLDER PORT JOB`; every seventh point is labelled wrongly."""

import json
import os
import sys
from pathlib import Path


def assess(home: Path, job: str) -> int:
    """Draw points, label them, and put the assessment beside the map."""
    os.environ["GEOCROP_HOME"] = str(home)
    from steps.cli import dispatch  # noqa: PLC0415 - settings are read from here on

    item, points = str(home / f"store/maps/{job}/item.json"), home / "points.csv"
    if code := dispatch(["sample-design", item, "--out", str(points), "--standard-error", "0.05", "--minimum", "5"]):
        return code
    units = json.loads(points.with_suffix(".csv.design.json").read_text())["units"]
    codes = sorted({one["code"] for one in units})
    label = [one["code"] if one["id"] % 7 else codes[(codes.index(one["code"]) + 1) % len(codes)] for one in units]
    rows = (f"{one['id']},{code}" for one, code in zip(units, label, strict=True))
    points.write_text("\n".join(["id,reference", *rows]) + "\n")
    return dispatch(["assess", item, "--sample", str(points)])


if __name__ == "__main__":
    sys.exit(assess(Path(sys.argv[1]).resolve() / f"at-{sys.argv[2]}", sys.argv[3]))
