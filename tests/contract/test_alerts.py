"""The alert rules, as Prometheus itself tests them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.kustomize import GITOPS

RULES = GITOPS / "apps/monitoring/alerts.yaml"
CASES = Path(__file__).with_name("alerts_test.yaml")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="ALERTS NOT TESTED: promtool is not here")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """And not before."""
    for path in (RULES, CASES):
        shutil.copy(path, tmp_path)
    command = ["promtool", "test", "rules", CASES.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do() -> None:
    """A summary, a remedy and how bad it is."""
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert {"summary", "remedy"} <= rule["annotations"].keys(), rule["alert"]
            assert rule["labels"]["severity"] in {"warning", "critical"}
