"""How much work the tiles of a plan are: bytes to read, pixels to compute. Pure."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from steps.model.job import Plan, TilePlan
from steps.model.scene import SCL, Asset, Scene

_ANY_STEP_M = 10.0
"""Metres per pixel of an asset that does not say."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one tile has to do."""

    read_mb: float
    """Windows of all assets over the tile and its halo, uncompressed."""
    feature_mpx: float
    """Megapixels times solar days times bands."""
    mpx: float
    """Megapixels of the tile; 0 for one that has nothing to read."""


def works(plan: Plan, entries: Sequence[TilePlan]) -> list[Work]:
    """The work of each tile. Scenes count as far as their files reach into it, granules of a day once for features.

    A file in another CRS than the grid's, or one that does not say where it lies, counts as if it lay under the tile.
    """
    edges = np.array([plan.grid.bounds(entry.tile, plan.halo) for entry in entries]).reshape(-1, 4)
    read = np.zeros(len(entries))
    days: list[set[dt.date]] = [set() for _ in entries]
    for scene, users in _users(plan, entries):
        megabytes = _megabytes(scene, plan, edges[users])
        read[users] += megabytes
        for number in users[megabytes > 0]:
            days[number].add(scene.solar_day)
    mpx, bands = plan.grid.size**2 / 1e6, len(plan.card.spec.bands)
    return [
        Work(float(size), mpx * len(seen) * bands, mpx if seen else 0.0) for size, seen in zip(read, days, strict=True)
    ]


def _users(plan: Plan, entries: Sequence[TilePlan]) -> Iterator[tuple[Scene, np.ndarray]]:
    """Scenes with the positions of the tiles that use them."""
    users: dict[int, list[int]] = {}
    for number, entry in enumerate(entries):
        for index in entry.scenes:
            users.setdefault(index, []).append(number)
    return ((plan.scenes[index], np.array(numbers)) for index, numbers in users.items())


def _megabytes(scene: Scene, plan: Plan, edges: np.ndarray) -> np.ndarray:
    """float64 (n): what a scene has in windows `edges` (n, 4): values of two bytes, classes of one."""
    bands = [band for band in (*plan.card.spec.bands, SCL) if band in scene.assets]
    sizes = [_pixels(scene.assets[band], plan, edges) * (1 if band == SCL else 2) for band in bands]
    return np.sum(sizes, axis=0) / 1e6


def _pixels(asset: Asset, plan: Plan, edges: np.ndarray) -> np.ndarray:
    """float64 (n): pixels of an asset in windows of the grid's CRS."""
    left, bottom, right, top = edges.T
    step = abs(asset.transform[0]) if asset.transform else _ANY_STEP_M
    if asset.transform and asset.shape and asset.epsg == plan.grid.epsg:
        west, north = asset.transform[2], asset.transform[5]
        rows, cols = asset.shape
        left, right = np.maximum(left, west), np.minimum(right, west + cols * step)
        bottom, top = np.maximum(bottom, north - rows * step), np.minimum(top, north)
    return np.asarray((right - left).clip(0) * (top - bottom).clip(0) / step**2)
