"""The S3 store, through the minio client: works against any S3 server."""

import contextlib
import datetime as dt
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from steps.errors import GeoCropError, StoreError, UsageError
from steps.settings import Settings
from steps.store import Entry, MissingObject, Store, checked, checked_prefix, free_mb

_PART_BYTES = 16 * 2**20
_MISSING = {"NoSuchKey", "NoSuchObject"}
_LATER = {
    *("InternalError", "OperationAborted", "RequestTimeout", "ServerBusy", "ServiceUnavailable", "SlowDown"),
    *("SlowDownRead", "SlowDownWrite", "TooManyRequests", "XMinioServerNotInitialized", "XMinioStorageFull"),
}
_CREDENTIALS = "check GEOCROP_S3_ACCESS_KEY and GEOCROP_S3_SECRET_KEY, and what they may do in this bucket"
_REMEDIES = {
    "InvalidBucketName": "correct the store's address",
    "NoSuchBucket": "create the bucket, or correct the store's address",
    "RequestTimeTooSkewed": "set this machine's clock",
    "EntityTooLarge": "the server's limit on object sizes is too small",
}


def open_s3(url: str, settings: Settings) -> Store:
    """The store at `s3://bucket/prefix`; raises UsageError when no endpoint or credentials are set."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"store {url} names no bucket", "write s3://bucket/prefix")
    if not (settings.s3_endpoint and settings.s3_access_key and settings.s3_secret_key):
        raise UsageError(
            f"store {url} needs an S3 server",
            "set GEOCROP_S3_ENDPOINT, GEOCROP_S3_ACCESS_KEY and GEOCROP_S3_SECRET_KEY",
        )
    return S3Store(_client(settings), bucket, checked(prefix.strip("/")) if prefix.strip("/") else "")


def _client(settings: Settings) -> Minio:
    try:
        return Minio(
            endpoint=settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            secure=settings.s3_secure,
            region=settings.s3_region,
            http_client=_http(),
        )
    except ValueError as error:
        message = f"GEOCROP_S3_ENDPOINT={settings.s3_endpoint!r} is not an address: {error}"
        raise UsageError(message, "write host:port; GEOCROP_S3_SECURE says whether it speaks TLS") from error


def _http() -> urllib3.PoolManager:
    """Short patience: what fails for long is the caller's to try again."""
    retries = urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504))
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=retries, maxsize=8)


class S3Store:
    """Objects of a bucket below a prefix. S3 shows an object only when it is complete."""

    def __init__(self, client: Minio, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._has_bucket = False

    def put_bytes(self, key: str, data: bytes) -> None:
        """See Store."""
        with self._translated(key):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=self._name(key),
                data=io.BytesIO(data),
                length=len(data),
                part_size=_PART_BYTES,
            )

    def put_file(self, key: str, path: Path) -> None:
        """See Store. Files over 16 MB go up in parts."""
        with self._translated(key):
            self._client.fput_object(
                bucket_name=self._bucket, object_name=self._name(key), file_path=str(path), part_size=_PART_BYTES
            )

    def get_bytes(self, key: str) -> bytes:
        """See Store."""
        with self._translated(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=self._name(key))
            try:
                data: bytes = response.read()
            finally:
                response.close()
                response.release_conn()
        return data

    @contextlib.contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """See Store."""
        with tempfile.TemporaryDirectory(prefix="geocrop-object-") as folder:
            path = Path(folder) / checked(key).rpartition("/")[2]
            self._download(key, path)
            yield path

    def exists(self, key: str) -> bool:
        """See Store."""
        try:
            self.size(key)
        except MissingObject:
            return False
        return True

    def size(self, key: str) -> int:
        """See Store."""
        with self._translated(key):
            try:
                return self._client.stat_object(bucket_name=self._bucket, object_name=self._name(key)).size or 0
            except S3Error as error:
                if str(error.code) in _MISSING:
                    self._check_bucket()
                raise

    def _check_bucket(self) -> None:
        """Raises UsageError when it is the bucket that is missing: HEAD is answered alike for it and for an object."""
        with contextlib.suppress(S3Error):  # whoever may not ask for the bucket is not told of the object's absence
            if not self._has_bucket and not self._client.bucket_exists(bucket_name=self._bucket):
                what = f"{self.href('')}: there is no bucket {self._bucket} (NoSuchBucket)"
                raise UsageError(what, _REMEDIES["NoSuchBucket"])
        self._has_bucket = True

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """See Store."""
        start = f"{self._prefix}/" if self._prefix else ""
        with self._translated(checked_prefix(prefix)):
            found = self._client.list_objects(bucket_name=self._bucket, prefix=start + prefix, recursive=True)
            listed = [(str(one.object_name), one.last_modified) for one in found if not one.is_dir]
        return (Entry(name.removeprefix(start), when) for name, when in sorted(listed))

    def total(self, prefix: str) -> int:
        """See Store. Page by page, so that millions of objects take no memory."""
        start = f"{self._prefix}/" if self._prefix else ""
        with self._translated(checked_prefix(prefix)):
            found = self._client.list_objects(bucket_name=self._bucket, prefix=start + prefix, recursive=True)
            return sum(one.size or 0 for one in found)

    def delete(self, key: str) -> None:
        """See Store."""
        with self._translated(key):
            self._client.remove_object(bucket_name=self._bucket, object_name=self._name(key))

    def href(self, key: str) -> str:
        """See Store."""
        return "/".join(part for part in (f"s3://{self._bucket}", self._prefix, key) if part)

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{checked(key)}" if self._prefix else checked(key)

    def _download(self, key: str, path: Path) -> None:
        with self._translated(key):
            try:
                self._client.fget_object(bucket_name=self._bucket, object_name=self._name(key), file_path=str(path))
            except OSError as error:
                message = f"{self.href(key)} could not be brought to {path.parent}: {error.strerror}"
                raise StoreError(message, f"{free_mb(path.parent)} MB are free there; TMPDIR chooses") from error

    @contextlib.contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Foreign errors become ours: missing, refused, or later. None of them carries a secret."""
        try:
            yield
        except S3Error as error:
            raise self._s3_error(error, key) from error
        except ServerError as error:
            raise StoreError(f"{self.href(key)}: the S3 server failed ({error})", "try again") from error
        except (HTTPError, MinioException) as error:
            raise self._unanswered(error, key) from error
        except ValueError as error:
            raise UsageError(
                f"{self.href(key)} is no address of an object: {error}", "correct the store's address"
            ) from error

    def _s3_error(self, error: S3Error, key: str) -> GeoCropError:
        code, status = str(error.code), getattr(error.response, "status", 0)
        if code in _MISSING:
            return MissingObject(key, self.href(""))
        if code in _LATER or status >= 500:
            return StoreError(f"{self.href(key)}: the S3 server says {code}", "try again")
        return UsageError(f"{self.href(key)}: the S3 server refuses ({code})", _REMEDIES.get(code, _CREDENTIALS))

    def _unanswered(self, error: Exception, key: str) -> GeoCropError:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(cause, SSLError):
            message = f"{self.href(key)}: no TLS connection to the S3 server ({cause})"
            return UsageError(message, "check GEOCROP_S3_SECURE and the server's certificate")
        return StoreError(f"{self.href(key)}: no answer from the S3 server ({cause})", "check that it runs; try again")


def presigned(
    url: str, key: str, settings: Settings, public_url: str, holds: dt.timedelta, *, since: dt.datetime | None = None
) -> str:
    """An address that opens one object of the store at `url` for a while, signed for the host that users reach.

    The signature covers the host, so it cannot be made for one and used with another. Nothing is asked of the server.
    `holds` counts from `since`, now where nothing is given: the same time gives the same address.
    """
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    public = urllib3.util.parse_url(public_url) if public_url else None
    there = settings
    if public is not None and public.netloc:
        there = msgspec.structs.replace(settings, s3_endpoint=public.netloc, s3_secure=public.scheme == "https")
    name = f"{prefix.strip('/')}/{checked(key)}" if prefix.strip("/") else checked(key)
    signed: str = _client(there).presigned_get_object(
        bucket_name=bucket, object_name=name, expires=holds, request_date=since
    )
    return signed
