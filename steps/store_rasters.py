"""Rasters that lie in a store of S3, read by GDAL: with the keys that the store itself is opened with."""

import contextlib
from collections.abc import Iterator

import rasterio
from rasterio.session import Session

from steps.settings import Settings


class _StoreKeys(Session):  # type: ignore[misc]  # rasterio is untyped
    """Keys and address of the store, as GDAL's options."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def hascreds(cls, config: dict[str, str]) -> bool:
        """See rasterio."""
        return "AWS_ACCESS_KEY_ID" in config

    def get_credential_options(self) -> dict[str, str]:
        """See rasterio."""
        return {
            "AWS_ACCESS_KEY_ID": self._settings.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self._settings.s3_secret_key,
            "AWS_S3_ENDPOINT": self._settings.s3_endpoint,
            "AWS_HTTPS": "YES" if self._settings.s3_secure else "NO",
            "AWS_REGION": self._settings.s3_region,
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }


@contextlib.contextmanager
def keys_for(href: str, settings: Settings) -> Iterator[None]:
    """While this lasts, GDAL opens `s3://` with the store's keys, in this thread; everything else is as it was."""
    ours = settings.s3_endpoint and not settings.gdal_reads_s3
    if not (ours and href.startswith(("s3://", "/vsis3/"))):
        yield
        return
    with rasterio.Env(session=_StoreKeys(settings), GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        yield
