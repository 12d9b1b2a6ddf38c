"""The feature spec: which numbers a model sees of a pixel's season. Versioned, hashed, part of the model.

Every feature is defined in docs/reference/feature-spec.md; `steps.features` computes them.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

SPEC_VERSION = 1
"""Raised when a definition changes; a model of another version is refused."""
_PHENOLOGY = ("start", "peak", "end")


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A spectral index: gain * (numerator + numerator_const) / (denominator + denominator_const), over reflectance."""

    name: str
    numerator: dict[str, float]
    """Band name to coefficient."""
    denominator: dict[str, float]
    numerator_const: float = 0.0
    denominator_const: float = 0.0
    gain: float = 1.0


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of a band or index over the season's clear observations."""

    of: str
    percents: tuple[int, ...]


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A further raster that the model needs: terrain, or Sentinel-1 composites made elsewhere."""

    name: str
    kind: str = "static"
    """static or sentinel1; or table, columns of a ready-made feature table, which no map can be made of."""
    bands: tuple[str, ...] = ("value",)


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides a pixel's features. Same spec, same pixels, same features, in training and in mapping."""

    version: int = SPEC_VERSION
    bands: tuple[str, ...]
    """Reflectance bands read, by canonical name."""
    resolution: float = 10.0
    season_days: int = 365
    """Length of the season; one day more or less is accepted (leap years)."""
    periods: int = 12
    """Equal parts of the season, counted from its start."""
    clear_classes: tuple[int, ...] = (4, 5, 6, 7)
    """SCL classes that count as clear."""
    dilate_classes: tuple[int, ...] = (3, 8, 9, 10)
    """SCL classes that are grown by `dilation_m`: cloud, cirrus and shadow."""
    dilation_m: float = 20.0
    resampling: str = "nearest"
    """nearest or bilinear, for reflectance off the grid; SCL is always nearest."""
    gap_limit: int = 3
    """Most consecutive empty periods that are filled, linearly inside and by the nearest at the ends."""
    indices: tuple[Index, ...] = ()
    composites: tuple[str, ...] = ()
    """Bands and indices whose per-period values are features."""
    counts: bool = False
    """Whether the share of periods with a clear observation is a feature."""
    percentiles: tuple[Percentiles, ...] = ()
    amplitudes: tuple[str, ...] = ()
    """Bands and indices whose largest less smallest period value is a feature."""
    phenology: tuple[str, ...] = ()
    """Bands and indices whose start, peak and end days are features."""
    layers: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(f"feature spec: {problem}")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the feature axis."""
        return tuple(_names(self))

    @property
    def mappable(self) -> bool:
        """Whether its features can be made of scenes and rasters."""
        return all(layer.kind != "table" for layer in self.layers)

    @property
    def sources(self) -> tuple[str, ...]:
        """What features can be made of: the bands, then the indices."""
        return (*self.bands, *(index.name for index in self.indices))


def _names(spec: FeatureSpec) -> Iterator[str]:
    for source in spec.composites:
        yield from (f"{source}.p{period:02d}" for period in range(spec.periods))
    if spec.counts:
        yield "clear.share"
    for percentiles in spec.percentiles:
        yield from (f"{percentiles.of}.q{percent:02d}" for percent in percentiles.percents)
    yield from (f"{source}.amplitude" for source in spec.amplitudes)
    for source in spec.phenology:
        yield from (f"{source}.{event}" for event in _PHENOLOGY)
    for layer in spec.layers:
        yield from (f"{layer.name}.{band}" for band in layer.bands)


def _problems(spec: FeatureSpec) -> Iterator[str]:
    """Everything that is wrong with a spec, a sentence each, naming the field."""
    if spec.version != SPEC_VERSION:
        yield f"version {spec.version} is not {SPEC_VERSION}, the one this code makes: train the model again"
    if (not spec.bands and spec.mappable) or len(set(spec.sources)) != len(spec.sources):
        yield "bands and indices need names, each of its own"
    if not 1 <= spec.periods <= spec.season_days:
        yield f"periods {spec.periods} must be from 1 to season_days {spec.season_days}"
    if spec.resampling not in {"nearest", "bilinear"}:
        yield f"resampling {spec.resampling!r} is neither nearest nor bilinear"
    if spec.dilation_m < 0 or spec.gap_limit < 0:
        yield "dilation_m and gap_limit cannot be negative"
    if 0 in spec.clear_classes or not spec.clear_classes:
        yield "clear_classes must name SCL classes; 0 is no data"
    yield from _unknown_names(spec)
    if not spec.feature_names or len(set(spec.feature_names)) != len(spec.feature_names):
        yield "its features need names, each of its own"


def _unknown_names(spec: FeatureSpec) -> Iterator[str]:
    for index in spec.indices:
        if unknown := {*index.numerator, *index.denominator} - {*spec.bands}:
            yield f"index {index.name} uses {min(unknown)}, which is not among its bands"
    used = (*spec.composites, *spec.amplitudes, *spec.phenology, *(entry.of for entry in spec.percentiles))
    if unknown := set(used) - {*spec.sources}:
        yield f"{min(unknown)} is neither a band nor an index of it"
    if any(not 0 <= percent <= 100 for entry in spec.percentiles for percent in entry.percents):
        yield "percentiles are whole numbers from 0 to 100"
    if any(layer.kind not in {"static", "sentinel1", "table"} for layer in spec.layers):
        yield "a layer's kind is static, sentinel1 or table"


def _difference(name: str, plus: str, minus: str) -> Index:
    return Index(name=name, numerator={plus: 1, minus: -1}, denominator={plus: 1, minus: 1})


KNOWN_INDICES: tuple[Index, ...] = (
    _difference("ndvi", "nir", "red"),
    _difference("ndwi", "green", "nir"),
    _difference("ndmi", "nir", "swir16"),
    _difference("ndre", "nir", "rededge1"),
    _difference("nbr", "nir", "swir22"),
    Index(
        name="evi",
        gain=2.5,
        numerator={"nir": 1, "red": -1},
        denominator={"nir": 1, "red": 6, "blue": -7.5},
        denominator_const=1,
    ),
    Index(
        name="bsi",
        numerator={"swir16": 1, "red": 1, "nir": -1, "blue": -1},
        denominator={"swir16": 1, "red": 1, "nir": 1, "blue": 1},
    ),
)
"""NDVI (Rouse et al. 1974), NDWI (McFeeters 1996), NDMI (Gao 1996), NDRE (Gitelson and Merzlyak 1994), NBR (Key and
Benson 2006), EVI (Huete et al. 2002), BSI (Rikimaru et al. 2002)."""


def standard_spec(bands: Collection[str]) -> FeatureSpec:
    """The spec that training uses unless told otherwise, as far as the bands go; needs red and nir."""
    kept = tuple(band for band in _STANDARD_BANDS if band in bands)
    indices = tuple(index for index in KNOWN_INDICES if {*index.numerator, *index.denominator} <= {*kept})
    names = [index.name for index in indices]
    return FeatureSpec(
        bands=kept,
        indices=indices,
        composites=_present(("ndvi", "ndmi", "ndre"), names),
        percentiles=tuple(Percentiles(of=source, percents=(10, 50, 90)) for source in (*kept, *names)),
        amplitudes=_present(("ndvi",), names),
        phenology=_present(("ndvi",), names),
    )


_STANDARD_BANDS = (
    "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22",
)  # fmt: skip


def _present(wanted: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in names)
