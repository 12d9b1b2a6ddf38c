"""Services that integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes_server import KubernetesServer, kubernetes_server
from tests.mlflow_server import MlflowServer, mlflow_server
from tests.postgres_server import PostgresServer, postgres_server
from tests.s3_server import S3Server, s3_server
from tests.served import Farm, make_farm


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS of this test process."""
    with s3_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with PostGIS of this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, s3: S3Server) -> Iterator[MlflowServer]:
    """An MLflow over both of this test process; its tests share a group, so that there is one."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), postgres.create("mlflow"), s3) as server:
        yield server


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Farm:
    """A landscape with a model and a baseline; its tests share a group, so that there is one."""
    return make_farm(tmp_path_factory.mktemp("farm"), empty_registry)


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    """A Kubernetes API of this test process, without nodes; its tests share a group, so that there is one."""
    with kubernetes_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server
