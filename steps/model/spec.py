"""The feature spec: which numbers a model sees of a pixel's season. Versioned, hashed, part of the model."""

import msgspec


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
    """static or sentinel1."""
    bands: tuple[str, ...] = ("value",)


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides a pixel's features. Same spec, same pixels, same features, in training and in mapping."""

    version: int = 1
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
    """Bands and indices whose per-period medians are features."""
    counts: bool = False
    """Whether the share of periods with a clear observation is a feature."""
    percentiles: tuple[Percentiles, ...] = ()
    amplitudes: tuple[str, ...] = ()
    phenology: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
