"""What `geocrop doctor` finds wrong."""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from api.commands import doctor
from api.installation import certificate, find_wrong, items_of, quantity
from steps.errors import UsageError

NOW = dt.datetime(2026, 1, 10, tzinfo=dt.UTC)
Lists = dict[str, list[dict[str, Any]]]


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **more}


def well() -> Lists:
    """An installation with nothing wrong."""
    yesterday = (NOW - dt.timedelta(hours=20)).isoformat()
    jobs = ("make-secrets", "postgis-roles", "store-users", "gitea-setup", "backup")
    conditions = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]
    return {
        "nodes": [named("node", status={"conditions": conditions})],
        "applications": [named("api", status={"sync": {"status": "Synced"}, "health": {"status": "Healthy"}})],
        "pods": [named("api-1", status={"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})],
        "resourcequotas": [named("node", status={"hard": {"pods": "40"}, "used": {"pods": "20"}})],
        "persistentvolumeclaims": [named("data", status={"phase": "Bound"})],
        "cronjobs": [
            named(name, status={"lastSuccessfulTime": yesterday, "lastScheduleTime": yesterday}) for name in jobs
        ],
        "priorityclasses": [named("geocrop-services", value=-10, preemptionPolicy="Never"), named("system", value=9)],
    }


def test_nothing_is_wrong_with_one_that_is_well() -> None:
    """No finding."""
    assert find_wrong(well(), NOW) == []


MISTAKES: list[tuple[str, Callable[[Lists], object]]] = [
    ("DiskPressure", lambda it: it["nodes"][0]["status"]["conditions"][1].update(status="True")),
    ("Argo CD has no applications", lambda it: it["applications"].clear()),
    ("application api is OutOfSync", lambda it: it["applications"][0]["status"]["sync"].update(status="OutOfSync")),
    (
        "pod api-1: CrashLoopBackOff",
        lambda it: it["pods"][0]["status"]["containerStatuses"][0].update(
            state={"waiting": {"reason": "CrashLoopBackOff"}}
        ),
    ),
    (
        "killed for its memory",
        lambda it: it["pods"][0]["status"]["containerStatuses"][0].update(
            lastState={"terminated": {"reason": "OOMKilled"}}
        ),
    ),
    ("has no place", lambda it: it["pods"][0].update(status={"phase": "Pending"})),
    ("39 of 40 pods", lambda it: it["resourcequotas"][0]["status"]["used"].update(pods="39")),
    ("volume data is Pending", lambda it: it["persistentvolumeclaims"][0]["status"].update(phase="Pending")),
    ("there is no job backup", lambda it: it["cronjobs"].pop()),
    ("newest backup is of", lambda it: it["cronjobs"][-1]["status"].update(lastSuccessfulTime="2026-01-01T00:00:00Z")),
    ("newest backup has never", lambda it: it["cronjobs"][-1]["status"].pop("lastSuccessfulTime")),
    ("job postgis-roles has never", lambda it: it["cronjobs"][1]["status"].pop("lastSuccessfulTime")),
    ("push the live page out", lambda it: it["priorityclasses"][0].update(value=1)),
]


@pytest.mark.parametrize(("told", "change"), [pytest.param(*one, id=one[0]) for one in MISTAKES])
def test_each_mistake_is_told_alone(told: str, change: Callable[[Lists], object]) -> None:
    """With what to do about it."""
    lists = copy.deepcopy(well())
    change(lists)
    (found,) = find_wrong(lists, NOW)
    assert told in found.what
    assert found.remedy


def test_full_quotas_of_jobs_are_no_mistake() -> None:
    """Jobs fill theirs and wait."""
    lists = well()
    lists["resourcequotas"] = [named("geocrop-tiles", status={"hard": {"pods": "8"}, "used": {"pods": "8"}})]
    assert find_wrong(lists, NOW) == []


@pytest.mark.parametrize(("text", "value"), [("512Mi", 512 * 2**20), ("40", 40), ("100m", 0.1), ("?", 0)])
def test_quantities_are_read(text: str, value: float) -> None:
    """As Kubernetes writes them; what is none counts nothing."""
    assert quantity(text) == pytest.approx(value)


def test_a_certificate_is_told_in_time() -> None:
    """Two weeks before it ends."""
    assert certificate("any", NOW + dt.timedelta(days=30), NOW) == []
    assert "ends in 3 days" in certificate("any", NOW + dt.timedelta(days=3, hours=1), NOW)[0].what
    assert "ends in 0 days" in certificate("any", NOW - dt.timedelta(days=3), NOW)[0].what


def test_lists_are_read() -> None:
    """What kubectl prints."""
    assert items_of('{"items": [{"a": 1}]}') == [{"a": 1}]


def test_no_kubectl_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="kubectl is not here"):
        doctor.kubectl("get", "pods")
