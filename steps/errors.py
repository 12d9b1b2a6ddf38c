"""The error tree. An error knows its exit code, and so whether trying again can help.

GeoCropError
├── UsageError           2   the command line, AOI or season is wrong
├── DataError           65   what was read is wrong; the same input fails the same way
│   ├── AoiError
│   ├── CatalogError         an item or catalog that cannot be used
│   ├── SceneError           one asset of one scene cannot be used (`href`, `scene`)
│   ├── ModelError
│   └── LabelError
└── TryAgainError       75   network, disk or a service; later it may work
    ├── ReadError            an asset that could not be read now (`href`, `scene`)
    └── StoreError
"""

import errno

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the operating system says when there is no room: later there may be."""


class GeoCropError(Exception):
    """`what` names the item that failed, `remedy` says what to do about it."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


class UsageError(GeoCropError):
    exit_code = 2


class DataError(GeoCropError):
    exit_code = 65


class AoiError(DataError):
    pass


class CatalogError(DataError):
    pass


class SceneError(DataError):
    def __init__(self, what: str, remedy: str = "", *, href: str = "", scene: str = "") -> None:
        super().__init__(what, remedy)
        self.href = href
        self.scene = scene


class ModelError(DataError):
    pass


class LabelError(DataError):
    pass


class TryAgainError(GeoCropError):
    exit_code = 75


class ReadError(TryAgainError):
    def __init__(self, what: str, remedy: str = "", *, href: str = "", scene: str = "") -> None:
        super().__init__(what, remedy)
        self.href = href
        self.scene = scene


class StoreError(TryAgainError):
    pass
