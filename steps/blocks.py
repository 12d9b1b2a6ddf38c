"""`geocrop fetch`: bring all blocks that a plan reads into the block cache, so that it works offline."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from steps.errors import GeoCropError, ReadError, SceneError, UsageError
from steps.model.job import Plan, SceneFault
from steps.model.scene import SCL
from steps.placement import Lattice, reach, tile_lattice
from steps.reader import Supply, Wanted, checked, damage, inflate, supply_of
from steps.remote import is_web
from steps.settings import Settings
from steps.sources import RemoteFile
from steps.tiff import TiffLayout

_THREADS = 8
"""Waiting for a server takes no core."""
_ON_DISK = 4096
"""Bytes that a file takes are a multiple of it."""
T = TypeVar("T")
_log = structlog.get_logger()


class Progress(Protocol):
    """Hears of assets done; `steps.progress.Advance` is one."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more as done."""
        ...


class FetchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch did."""

    assets: int
    """Remote rasters that the plan reads."""
    local: int
    """Rasters that are files of this machine and need no cache."""
    blocks: int
    """Blocks of remote rasters that the plan reads."""
    fetched: int
    """Those of them that were not in the cache."""
    bytes: int
    """What the plan's blocks take on disk."""
    faults: tuple[SceneFault, ...] = ()
    """Rasters that could not be fetched."""

    def __str__(self) -> str:
        lines = [f"{self.fetched} of {self.blocks} blocks of {self.assets} rasters fetched, {self.bytes / 1e6:.1f} MB"]
        lines += [f"{self.local} rasters are on this machine and need no cache"] if self.local else []
        return "\n".join([*lines, *(f"not fetched: {fault.error}" for fault in self.faults)])


@dataclass(frozen=True, slots=True)
class _Need:
    """The blocks of one raster that a plan reads."""

    wanted: Wanted
    file: RemoteFile
    layout: TiffLayout
    numbers: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """What they take on disk, with the head."""
        sizes = [int(self.layout.counts[number]) for number in self.numbers]
        return sum(-(-size // _ON_DISK) * _ON_DISK for size in [*sizes, self._head_bytes])

    @property
    def _head_bytes(self) -> int:
        return sum(len(data) for _, data in self.file.head.parts) + _ON_DISK if self.file.head else 0


def fetch_plan(plan: Plan, settings: Settings, progress: Progress, *, supply: Supply | None = None) -> FetchReport:
    """Fill the block cache with what the plan's tiles read, and evict what was unused longest to make room.

    Raises UsageError, before fetching any block, when the cache is too small for the plan. A raster that cannot be
    fetched is reported, or raised where the plan leaves no scene out or none could be fetched.
    """
    supply = supply or supply_of(settings)
    assets = list(_assets(plan))
    remote = [(wanted, targets) for wanted, targets in assets if is_web(wanted.asset.href)]
    progress(sum(len(scene.assets) for scene in plan.scenes) - len(remote), "on this machine, or not read")
    faults: list[GeoCropError] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        needs = _without_faults(pool.map(lambda pair: _caught(_need, *pair, supply), remote), faults)
        _make_room(needs, supply)
        done = pool.map(lambda need: _caught(_fetch, need, progress), needs)
        fetched = sum(_without_faults(done, faults))
    # Another process may have filled the cache meanwhile.
    supply.cache.make_room(0, [need.file.cached for need in needs])
    _refuse(faults, plan, everything=len(faults) == len(remote))
    report = FetchReport(
        assets=len(remote),
        local=len(assets) - len(remote),
        blocks=sum(len(need.numbers) for need in needs),
        fetched=fetched,
        bytes=sum(need.bytes for need in needs),
        faults=tuple(_fault(error) for error in faults),
    )
    _log.info("fetch.done", blocks=report.blocks, fetched=report.fetched, bytes=report.bytes, faults=len(faults))
    return report


def _assets(plan: Plan) -> Iterator[tuple[Wanted, list[Lattice]]]:
    """Every raster that the plan reads, with the tiles that read it."""
    tiles: dict[int, list[Lattice]] = defaultdict(list)
    for planned in plan.tiles:
        for index in planned.scenes:
            tiles[index].append(tile_lattice(plan.grid, planned.tile, plan.halo))
    for index, targets in sorted(tiles.items()):
        scene = plan.scenes[index]
        for band in (*plan.card.spec.bands, SCL):
            if band in scene.assets:
                yield Wanted(scene.id, band, scene.assets[band]), targets


def _need(wanted: Wanted, targets: list[Lattice], supply: Supply) -> _Need:
    file = supply.remote(wanted)
    with damage(wanted):
        layout = file.layout()
    lattice = checked(layout.lattice, wanted)
    numbers = {number for target in targets for number in layout.blocks(reach(lattice, target))}
    return _Need(wanted, file, layout, tuple(sorted(number for number in numbers if layout.counts[number])))


def _make_room(needs: list[_Need], supply: Supply) -> None:
    total, limit = sum(need.bytes for need in needs), supply.cache.limit
    if total > limit:
        raise UsageError(
            f"the plan reads {total / 1e6:.1f} MB of blocks, and the block cache holds {limit / 1e6:.1f} MB",
            f"set GEOCROP_CACHE_MB to at least {-(-total // 2**20)}, or plan a smaller area",
        )
    supply.cache.make_room(total, [need.file.cached for need in needs])


def _fetch(need: _Need, progress: Progress) -> int:
    """Fetch what is missing; only blocks that are sound get into the cache."""
    missing = need.file.cached.missing(need.numbers)
    if need.file.head is not None:
        need.file.cached.put_head(need.file.head)
    with damage(need.wanted):
        for number, data in need.file.blocks(need.layout, missing):
            inflate(need.layout, number, data)
            need.file.cached.put_block(number, data)
    progress(1, need.wanted.scene)
    return len(missing)


def _caught(work: Callable[..., T], *arguments: Any) -> T | GeoCropError:
    """What the work gives, or the scene's error: one bad raster does not keep the others from being fetched."""
    try:
        return work(*arguments)
    except (ReadError, SceneError) as error:
        return error


def _without_faults(results: Iterable[T | GeoCropError], faults: list[GeoCropError]) -> list[T]:
    """The results, their errors moved to `faults`."""
    good: list[T] = []
    for result in results:
        if isinstance(result, GeoCropError):
            faults.append(result)
        else:
            good.append(result)
    return good


def _refuse(faults: list[GeoCropError], plan: Plan, *, everything: bool) -> None:
    if faults and (everything or not plan.request.options.exclude_bad_scenes):
        raise faults[0]


def _fault(error: GeoCropError) -> SceneFault:
    return SceneFault(
        scene=getattr(error, "scene", ""),
        href=getattr(error, "href", ""),
        error=error.what,
        lasting=isinstance(error, SceneError),
    )
