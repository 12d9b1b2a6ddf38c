"""From a command line to a map request: the AOI read, the model pinned, every raster pinned."""

import argparse
import datetime as dt
from collections.abc import Iterable

import msgspec

from steps.aoi import parse_season
from steps.errors import UsageError
from steps.layers import pin_raster
from steps.model.aoi import Aoi, Season
from steps.model.card import ModelCard
from steps.model.job import MapOptions, MapRequest, RasterRef
from steps.registry import resolve
from steps.scenes import absolute_catalog
from steps.settings import Settings
from steps.vectors import read_aoi


def build_request(arguments: argparse.Namespace, settings: Settings) -> tuple[MapRequest, ModelCard]:
    """Everything that the arguments of `run` and `quote` say, checked; the model's card with it."""
    aoi = named(read_aoi(arguments.aoi, layer=arguments.aoi_layer or None), arguments.name)
    season = season_of(arguments.season)
    options = _options(arguments)
    ref, card = resolve(arguments.model, settings)
    request = MapRequest(
        aoi=aoi,
        season=season,
        model=ref,
        catalog=absolute_catalog(arguments.catalog),
        collection=arguments.collection,
        options=options,
    )
    return request, card


def named(aoi: Aoi, name: str) -> Aoi:
    """The AOI under a name of the user's own, if there is one."""
    from steps.naming import slug  # noqa: PLC0415

    return msgspec.structs.replace(aoi, name=slug(name)) if name else aoi


def season_of(text: str) -> Season:
    """START/END as the user wrote it; raises UsageError for a season that is backwards or yet to come."""
    return parse_season(text, dt.datetime.now(dt.UTC).date())


def epsg_of(text: str) -> int | None:
    """3035 of `EPSG:3035` or `3035`; None of nothing."""
    if not text:
        return None
    number = text.upper().removeprefix("EPSG:")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise UsageError(f"CRS {text!r} is not an EPSG code", "write it as EPSG:3035")
    return int(number)


def _options(arguments: argparse.Namespace) -> MapOptions:
    if arguments.tile_size % 16:
        raise UsageError(f"--tile-size {arguments.tile_size} does not fit", "give a multiple of 16 from 64 to 4096")
    return MapOptions(
        epsg=epsg_of(arguments.crs),
        tile_size=arguments.tile_size,
        min_coverage=arguments.min_coverage,
        max_cloud=arguments.max_cloud,
        exclude_bad_scenes=not arguments.strict_scenes,
        probabilities=arguments.probabilities,
        mask=raster_of(arguments.mask),
        min_unit_px=arguments.min_unit,
        layers=layers_of(arguments.layer),
        baseline=raster_of(arguments.baseline),
    )


def raster_of(text: str) -> RasterRef | None:
    """The raster that is named, pinned; None of nothing. Raises as pin_raster."""
    return pin_raster(text) if text else None


def layers_of(pairs: Iterable[str]) -> dict[str, RasterRef]:
    """Rasters by layer, of NAME=RASTER each. Raises UsageError or DataError for what is none."""
    return {name: pin_raster(raster) for name, raster in named_rasters(pairs).items()}


def named_rasters(pairs: Iterable[str]) -> dict[str, str]:
    """What NAME=RASTER names. Raises UsageError for what is none; the rasters are not looked at."""
    rasters: dict[str, str] = {}
    for pair in pairs:
        name, equals, raster = pair.partition("=")
        if not (name and equals and raster):
            raise UsageError(f"--layer {pair!r} is not NAME=RASTER", "as --layer dem=dem.tif")
        rasters[name] = raster
    return rasters
