"""The synthetic countryside as arrays: who grows what where, how it looks on a day, and what clouds hide. Pure.

A season of Southern Africa, from 1 October. All arrays are (y, x), row 0 in the north, 10 m pixels unless said
otherwise; reflectances are fractions, not DN. Days count from the season's start.
"""

from dataclasses import dataclass

import numpy as np
import shapely
import shapely.affinity
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter, zoom

from steps.model.card import ClassDef

MAIZE, SOYA, TOBACCO, WHEAT, GRASS, FOREST, WATER, TOWN, BARE = range(1, 10)
CROPS = (MAIZE, SOYA, TOBACCO, WHEAT)
CLASSES = (
    ClassDef(code=MAIZE, name="maize", colour="e3a72f"),
    ClassDef(code=SOYA, name="soya", colour="b5c334"),
    ClassDef(code=TOBACCO, name="tobacco", colour="9b5b2e"),
    ClassDef(code=WHEAT, name="winter wheat", colour="f2dc8c"),
    ClassDef(code=GRASS, name="grassland", colour="88b053"),
    ClassDef(code=FOREST, name="forest", colour="397d49"),
    ClassDef(code=WATER, name="water", colour="419bdf"),
    ClassDef(code=TOWN, name="built-up", colour="c4281b"),
    ClassDef(code=BARE, name="bare ground", colour="a59b8f"),
)
"""What the truth raster and the labels know."""
DYNAMIC_WORLD = {MAIZE: 4, SOYA: 4, TOBACCO: 4, WHEAT: 4, GRASS: 2, FOREST: 1, WATER: 0, TOWN: 6, BARE: 7}
"""The Dynamic World class of each of ours."""
FINE = ("blue", "green", "red", "nir")
COARSE = ("rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22")
BANDS = (*FINE, *COARSE)

_LEAF = (0.030, 0.065, 0.030, 0.44, 0.095, 0.29, 0.39, 0.45, 0.20, 0.095)
_SOIL = (0.060, 0.095, 0.145, 0.26, 0.175, 0.20, 0.23, 0.28, 0.34, 0.29)
_STRAW = (0.070, 0.110, 0.150, 0.27, 0.175, 0.22, 0.25, 0.29, 0.36, 0.26)
_WATER = (0.055, 0.060, 0.040, 0.020, 0.035, 0.028, 0.024, 0.018, 0.012, 0.009)
_ROOF = (0.125, 0.140, 0.160, 0.215, 0.175, 0.19, 0.20, 0.22, 0.25, 0.235)
_ROCK = (0.095, 0.130, 0.175, 0.245, 0.195, 0.21, 0.23, 0.26, 0.33, 0.32)
_GROUND = {
    MAIZE: _SOIL, SOYA: _SOIL, TOBACCO: _SOIL, WHEAT: _SOIL, GRASS: _STRAW,
    FOREST: _STRAW, WATER: _WATER, TOWN: _ROOF, BARE: _ROCK,
}  # fmt: skip
"""Reflectance by class without green leaves, in the order of BANDS."""
_CANOPY = {
    MAIZE: 1.0,
    SOYA: 1.08,
    TOBACCO: 1.03,
    WHEAT: 0.97,
    GRASS: 0.93,
    FOREST: 0.82,
    WATER: 0.5,
    TOWN: 0.9,
    BARE: 0.9,
}
"""Brightness of green leaves by class."""
_SEASONS: dict[int, tuple[tuple[float, float, float, float, float, float], ...]] = {
    MAIZE: ((62, 10, 178, 14, 0.82, 0.05),),
    SOYA: ((75, 9, 172, 8, 0.88, 0.05),),
    TOBACCO: ((34, 10, 140, 16, 0.76, 0.05),),
    WHEAT: ((-60, 9, 8, 6, 0.80, 0.06), (248, 12, 345, 8, 0.86, 0.0)),
    GRASS: ((48, 18, 205, 26, 0.50, 0.14),),
    FOREST: ((10, 20, 290, 30, 0.38, 0.44),),
    WATER: ((0, 10, 365, 10, 0.0, 0.02),),
    TOWN: ((55, 18, 205, 26, 0.10, 0.12),),
    BARE: ((55, 18, 190, 26, 0.07, 0.03),),
}
"""Green cover by class as double logistics: greening day and its width, browning day and its width, rise, floor."""

_FIELDS = 1 << 30
"""Keeps the numbers of fields below those of patches."""


@dataclass(frozen=True, slots=True)
class Countryside:
    """The ground: everything but weather."""

    classes: np.ndarray
    """uint8 (y, x): class codes."""
    objects: np.ndarray
    """int32 (y, x): fields first, in the order of `fields`, then patches of the rest."""
    object_class: np.ndarray
    """uint8 (object,)."""
    shift: np.ndarray
    """float32 (object,): days that the object is late."""
    vigour: np.ndarray
    """float32 (object,): factor of the green cover."""
    tint: np.ndarray
    """float32 (object, band): factor of the ground's reflectance."""
    texture: np.ndarray
    """float32 (y, x): differences within a field; mean 0, deviation 1."""
    fields: tuple[shapely.Polygon, ...]
    """In pixels: x = column, y = row."""


@dataclass(frozen=True, slots=True)
class Sky:
    """What is above the ground on one day."""

    cloud: np.ndarray
    """float32 (y, x), 0 to 1: how much of the light is the cloud's."""
    shadow: np.ndarray
    """float32 (y, x), 0 to 1: the same clouds, displaced."""


def make_countryside(size: int, rng: np.random.Generator) -> Countryside:
    """A square of `size` pixels a side with fields of four crops, forest, grass, a river, a dam and a town."""
    wild = _wild_classes(size, rng)
    fields = _lay_out_fields(wild, rng)
    field_ids = rasterize(
        [(field.buffer(-0.6), index + 1) for index, field in enumerate(fields)], out_shape=(size, size), dtype="int32"
    )
    crops = rng.choice(CROPS, size=len(fields), p=(0.40, 0.26, 0.16, 0.18)).astype(np.uint8)
    classes = np.where(field_ids > 0, np.r_[np.uint8(0), crops][field_ids], wild).astype(np.uint8)
    wavy = (np.indices((size, size)) + 5 * np.stack([smooth_noise(size, 9, rng) for _ in range(2)])) // 12
    objects, object_class = _number_objects(classes, field_ids, crops, wavy.clip(0).astype(np.int64))
    return Countryside(classes, objects, object_class, *_vary(object_class, rng), smooth_noise(size, 3, rng), fields)


def smooth_noise(size: int, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Random hills (y, x) float32 of about `radius` pixels; mean 0, deviation 1."""
    step = max(1, int(radius) // 2)
    coarse = rng.standard_normal((-(-size // step) + 4,) * 2, dtype=np.float32)
    hills = zoom(gaussian_filter(coarse, radius / step), step, order=1)[:size, :size]
    return np.asarray((hills - hills.mean()) / hills.std(), np.float32)


def _wild_classes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Class codes (y, x) before there were fields."""
    rows, cols = np.mgrid[0:size, 0:size].astype(np.float32) / size
    wood, rock = smooth_noise(size, size / 22, rng), smooth_noise(size, size / 60, rng)
    classes = np.full((size, size), GRASS, np.uint8)
    classes[wood + 0.12 * rock + 0.05 * smooth_noise(size, 2, rng) > 0.75] = FOREST
    classes[(rock > 1.9) & (wood < 0.3)] = BARE
    for x, y in ((0.24, 0.72), (0.80, 0.30)):
        town = np.hypot(cols - x, rows - y) + 0.025 * rock
        classes[town < 0.075] = TOWN
        classes[(town < 0.13) & (rng.random((size, size)) < 0.05)] = TOWN
    river = np.abs(cols + 0.09 * np.sin(rows * 7.0) + 0.35 * rows - 0.62)
    classes[river < 0.006] = WATER
    for x, y, radius in ((0.53, 0.30, 0.05), (0.17, 0.25, 0.045), (0.72, 0.78, 0.035)):
        classes[np.hypot(cols - x, 1.5 * (rows - y)) + 0.01 * wood < radius] = WATER
    return classes


def _lay_out_fields(wild: np.ndarray, rng: np.random.Generator) -> tuple[shapely.Polygon, ...]:
    """Rectangles, slightly turned, where most of the ground was grass."""
    size = len(wild)
    turned = [
        shapely.affinity.rotate(shapely.box(*bounds), 14, origin=(size / 2, size / 2))
        for bounds in _split(np.array([-0.25, -0.25, 1.25, 1.25]) * size, rng)
    ]
    inside = shapely.box(1, 1, size - 1, size - 1)
    farms = smooth_noise(size, size / 10, rng) > -0.75
    return tuple(field for field in turned if inside.contains(field) and _is_arable(field, wild, farms))


def _split(bounds: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Halve a rectangle (left, top, right, bottom) again and again, until fields of 2 to 12 ha are left."""
    width, height = bounds[2] - bounds[0], bounds[3] - bounds[1]
    if width * height < rng.uniform(350, 1500):
        return [bounds]
    cut, axis = rng.uniform(0.38, 0.62), 0 if width > height * rng.uniform(0.7, 1.3) else 1
    first, second = bounds.copy(), bounds.copy()
    first[axis + 2] = second[axis] = bounds[axis] + cut * (bounds[axis + 2] - bounds[axis])
    return [*_split(first, rng), *_split(second, rng)]


def _is_arable(field: shapely.Polygon, wild: np.ndarray, farms: np.ndarray) -> bool:
    left, top, right, bottom = (int(value) for value in field.bounds)
    window = (slice(top, bottom + 1), slice(left, right + 1))
    return bool((wild[window] == GRASS).mean() > 0.85 and farms[window].mean() > 0.5)


def _number_objects(
    classes: np.ndarray, field_ids: np.ndarray, crops: np.ndarray, patches: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Objects (y, x) and their classes: each field is one, and so is each patch of another class.

    `patches` (2, y, x) are the row and column of the patch of about 120 m that a pixel lies in.
    """
    keys = (patches[0] * (patches[1].max() + 1) + patches[1]) * 16 + classes
    keys, numbers = np.unique(np.where(field_ids > 0, field_ids - _FIELDS, keys), return_inverse=True)
    object_class = np.where(keys < 0, np.r_[np.uint8(0), crops][np.where(keys < 0, keys + _FIELDS, 0)], keys % 16)
    return numbers.reshape(classes.shape).astype(np.int32), object_class.astype(np.uint8)


def _vary(object_class: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shift, vigour and tint by object: sowing dates, soils and farmers differ, and some fields fail."""
    count, cropped = len(object_class), np.isin(object_class, CROPS)
    shift = rng.normal(0, 1, count) * np.where(cropped, 11, 5)
    vigour = np.clip(1 + rng.normal(0, 1, count) * np.where(cropped, 0.13, 0.10), 0.2, 1.15)
    vigour = np.where(cropped & (rng.random(count) < 0.04), vigour * 0.35, vigour)
    wet = rng.normal(0, 0.10, (count, 1))
    tint = np.clip(1 + wet + rng.normal(0, 0.035, (count, len(BANDS))), 0.6, 1.5)
    return shift.astype(np.float32), vigour.astype(np.float32), tint.astype(np.float32)


def green_cover(land: Countryside, day: float) -> np.ndarray:
    """Share of green leaves (object,) float32 on a day of the season, 0 to 1."""
    cover = np.zeros(len(land.object_class), np.float32)
    for code, humps in _SEASONS.items():
        mine = land.object_class == code
        late = day - land.shift[mine]
        green = sum(_hump(late, *hump) for hump in humps)
        cover[mine] = np.clip(green * land.vigour[mine], 0, 0.97)
    return cover


def _hump(
    day: np.ndarray, up: float, up_width: float, down: float, down_width: float, *rise_floor: float
) -> np.ndarray:
    """A double logistic over days."""
    rise, floor = rise_floor
    greening, browning = np.tanh((day - up) / (2 * up_width)), np.tanh((day - down) / (2 * down_width))
    return np.asarray(floor + rise * (greening - browning) / 2)


def reflectance(land: Countryside, day: float) -> np.ndarray:
    """Reflectance (object, band) float32 of each object under a clear sky, bands as in BANDS."""
    cover = green_cover(land, day)[:, None]
    codes = range(max(_GROUND) + 1)
    ground = np.array([_GROUND.get(code, _SOIL) for code in codes], np.float32)[land.object_class]
    canopy = np.array([_CANOPY.get(code, 1) for code in codes], np.float32)[land.object_class, None]
    leaves = np.array(_LEAF, np.float32) * canopy
    return np.asarray(ground * land.tint * (1 - cover) + leaves * cover, np.float32)


def make_sky(size: int, share: float, rng: np.random.Generator) -> Sky:
    """Clouds over about `share` of the square, and their shadows: to the south-west, as on a southern morning."""
    if share <= 0:
        clear = np.zeros((size, size), np.float32)
        return Sky(clear, clear)
    margin = max(8, size // 16)
    hills = smooth_noise(size + margin, size / 18, rng) + 0.25 * smooth_noise(size + margin, 4, rng)
    cover = np.clip((hills - np.quantile(hills[::8, ::8], 1 - min(share, 1))) / 0.35, 0, 1)
    south, west = margin // 2, margin // 3
    shadow = cover[margin - south : margin - south + size, west : west + size]
    return Sky(cover[margin:, :size], shadow)


def light(ground: np.ndarray, sky: Sky, band: str) -> np.ndarray:
    """Reflectance (y, x) of one band as seen through a sky."""
    bright = 0.62 if BANDS.index(band) < BANDS.index("swir16") else 0.42
    return np.asarray(ground * (1 - 0.55 * sky.shadow) * (1 - sky.cloud) + bright * sky.cloud)


def halve(plane: np.ndarray) -> np.ndarray:
    """The plane (y, x) in pixels of twice the size, each the mean of the four that it covers."""
    rows, cols = plane.shape
    return np.asarray(plane.reshape(rows // 2, 2, cols // 2, 2).mean((1, 3)))


def scene_classification(land: Countryside, cover: np.ndarray, sky: Sky, rng: np.random.Generator) -> np.ndarray:
    """An SCL layer (y, x) uint8 in 20 m pixels, from the green cover (object,), with the faults of real ones.

    It misses the thin edges of clouds, takes some roofs for clouds and leaves some pixels unclassified.
    """
    cloud, shadow, green = halve(sky.cloud), halve(sky.shadow), halve(cover[land.objects])
    ground = land.classes[::2, ::2]
    scl = np.where(green > 0.35, 4, 5).astype(np.uint8)
    scl[ground == WATER] = 6
    chance = rng.random(scl.shape, dtype=np.float32)
    scl[chance < 0.01] = 7
    scl[(ground == TOWN) & (chance > 0.97)] = 8
    scl[shadow > 0.45] = 3
    scl[cloud > 0.30] = 8
    scl[cloud > 0.65] = 9
    return scl


def dynamic_world(land: Countryside, year: int, rng: np.random.Generator) -> np.ndarray:
    """A class raster (y, x) uint8 in Dynamic World's codes, 255 where there is none.

    Towns were smaller and forest was larger in earlier years; one pixel in twenty is wrong, in patches.
    """
    table = np.full(10, 255, np.uint8)
    table[list(DYNAMIC_WORLD)] = list(DYNAMIC_WORLD.values())
    codes: np.ndarray = table[land.classes]
    age = np.clip((2022 - year) / 10, 0, 1)
    codes[(codes == 6) & (rng.random(codes.shape) < 0.5 * age)] = 2
    codes[(codes == 2) & (land.texture > 2.2 - age)] = 1
    wrong = smooth_noise(len(codes), 3, rng) > 1.65
    codes[wrong] = rng.choice(np.array([1, 2, 4, 5, 7], np.uint8), codes.shape)[wrong]
    return codes
