"""Services that integration tests share."""

from collections.abc import Iterator

import pytest

from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS of this test process."""
    with s3_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server
