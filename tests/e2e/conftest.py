"""What the end-to-end tests share; nothing is made before the first test that asks for it."""

import contextlib
import json
from collections.abc import Generator, Iterator, Mapping

import pytest

from tests.e2e.argo import forget_tiles
from tests.e2e.farm import Farm, make_farm, rasters_of
from tests.e2e.kube import Kube
from tests.e2e.stage import BUCKET, Stage, cluster, staged, upload


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure comes what the cluster says of the namespace."""
    report = yield
    stage = item.funcargs.get("stage")
    if report.failed and isinstance(stage, Stage):
        report.sections.append((f"{call.when}: the namespace", stage.kube.picture()))
    return report


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A namespace as an operator would set it up, on a real cluster."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(cluster())
        except LookupError as error:
            pytest.skip(f"NOTHING TESTED ON KUBERNETES: {error}")
        yield stack.enter_context(staged(*found))


@pytest.fixture
def fresh(stage: Stage) -> None:
    """No tile is in the store."""
    forget_tiles(stage.store)


@pytest.fixture(scope="session")
def kube(stage: Stage) -> Kube:
    return stage.kube


@pytest.fixture(scope="session")
def farm(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Farm:
    """A landscape that the cluster reads over HTTP, and a model of it in the store."""
    made = make_farm(tmp_path_factory.mktemp("farm"))
    upload(stage.scenes, "landscape", made.land.folder)
    upload(stage.store, BUCKET, made.model, "farm-model/")
    return made


@pytest.fixture(scope="session")
def reference(farm: Farm) -> Mapping[str, bytes]:
    """The rasters of the local engine's map."""
    return rasters_of(farm.map(farm.land.aoi, farm.store))


@pytest.fixture(scope="session")
def argo(stage: Stage) -> None:
    """Skips where Argo Workflows does not run; else its templates are there."""
    if reason := _no_argo(stage.kube):
        pytest.skip(f"SECOND LAYER NOT TESTED: {reason}; install Argo Workflows 4.1 and run ./task e2e again")
    stage.kube.apply(*stage.objects("workflow-templates"))


def _no_argo(kube: Kube) -> str:
    """Why there is no Argo Workflows on the cluster; empty where there is one."""
    if not kube.there("crd", "workflows.argoproj.io"):
        return "the cluster has no CRD workflows.argoproj.io"
    found = json.loads(kube.run("get", "deployments", "--all-namespaces", "-o", "json"))["items"]
    ready = [
        one for one in found if one["metadata"]["name"] == "workflow-controller" and one["status"].get("readyReplicas")
    ]
    return "" if ready else "the cluster runs no workflow-controller"
