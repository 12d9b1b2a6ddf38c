"""Vector files: AOIs, zones, parcels, labels. The one adapter of geopandas."""

import json
import os
import stat
import tempfile
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely
import structlog
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj.exceptions import ProjError
from shapely.geometry import mapping

from steps.aoi import MAX_VERTICES, parse_aoi
from steps.errors import DISK_FULL, AoiError, DataError, GeoCropError, StoreError, UsageError
from steps.model.aoi import Aoi

MAX_BYTES = 50_000_000
"""Largest AOI file, also after decompression; looked at before anything is parsed."""
_MAX_MEMBERS = 1000
_MAX_TOKENS = {"[": 4 * MAX_VERTICES, "{": 4 * MAX_VERTICES, ",": 40 * MAX_VERTICES}
"""More of these make a JSON document that cannot be an AOI, but would fill the memory once parsed."""
_VECTOR_SUFFIXES = (".shp", ".gpkg", ".geojson", ".json", ".kml", ".fgb", ".gml", ".gpx")
_SIDECARS = (".shx", ".dbf", ".prj", ".cpg", ".qix")
_ALTITUDE_FORMATS = ("KML", "LIBKML")
"""Formats whose every position has an altitude, meant or not."""
_BAD_ZIP = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError)
_FOREIGN = (DataSourceError, DataLayerError, FieldError, ProjError, shapely.errors.ShapelyError)
_LONLAT = (("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"))
_NAMED = 5
"""Rows that an error names."""
_log = structlog.get_logger()


def read_aoi(path: str, *, layer: str | None = None) -> Aoi:
    """The AOI in a vector file: GeoJSON, GeoPackage, Shapefile (also zipped), KML, or what else geopandas reads.

    All polygons of the layer together are the AOI; it must be named where the file has several. Altitudes of KML are
    dropped (the format always has them), other 3-D files are refused. Raises UsageError for a path or layer that cannot
    be read, AoiError for what it holds.
    """
    file = _readable(path)
    if file.stat().st_size > MAX_BYTES:
        size = file.stat().st_size / 1e6
        raise AoiError(f"AOI file {path} has {size:,.0f} MB", f"give at most {MAX_BYTES // 1_000_000} MB: simplify it")
    with file.open("rb") as stream:
        head = stream.read(1024)
    if zipfile.is_zipfile(file):
        with _unzipped(file) as inner:
            return read_aoi(str(inner), layer=layer) if _is_json(inner) else _ogr_aoi(inner, layer, file)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b"") or _is_json(file):
        if layer:
            raise UsageError(f"{path} is GeoJSON, which has no layer {layer!r}", "leave out --aoi-layer")
        return parse_aoi(_read_json(file), name=file.stem)
    if b"<OGRVRTDataSource" in head:
        raise AoiError(f"AOI file {path} only refers to other files", "give the file that holds the polygons")
    return _ogr_aoi(file, layer, file)


def read_features(path: str, *, layer: str | None = None, epsg: int | None = None) -> geopandas.GeoDataFrame:
    """All features of a layer with their attributes, reprojected to `epsg` when it is given; repaired where invalid.

    CSV and Parquet without geometries have points in columns lon and lat. Features without geometry are left out; the
    index counts all from 0. Raises UsageError for a path that cannot be read, DataError for a file that is no vector
    file, has no CRS or no feature.
    """
    file = _readable(path)
    table = _TABLES.get(file.suffix.lower())
    frame = table(file, path) if table else _read_frame(str(file), layer, path)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if frame.empty:
        raise DataError(f"{path} holds no feature with a geometry", "check the file and its layer")
    if frame.crs is None:
        raise DataError(f"{path} does not say its CRS", "add the .prj, or save it as GeoPackage")
    frame = _repaired(frame, path)
    return frame if epsg is None else reprojected(frame, epsg, path)


def write_gpkg(frame: geopandas.GeoDataFrame, path: Path, *, layer: str = "features") -> None:
    """Write a GeoPackage under its final name only when it is complete. Raises StoreError."""
    part = path.with_name(f".{uuid.uuid4().hex}.gpkg")
    try:
        frame.to_file(part, layer=layer, driver="GPKG", engine="pyogrio")
        part.replace(path)
    except (OSError, *_FOREIGN) as error:
        raise StoreError(f"{path} cannot be written: {error}", "check space and permissions") from None
    finally:
        part.unlink(missing_ok=True)


def write_points(columns: Mapping[str, Sequence[object]], lonlat: np.ndarray, path: Path, *, layer: str) -> None:
    """Write points with their attributes as GeoPackage, in EPSG:4326; `lonlat` is (points, 2). Raises StoreError."""
    frame = geopandas.GeoDataFrame(dict(columns), geometry=shapely.points(lonlat), crs=4326)
    write_gpkg(frame, path, layer=layer)


def _readable(path: str) -> Path:
    """A regular file that may be opened; a FIFO or device would hang or never end."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode) and file.suffix.lower() != ".gdb":
            raise UsageError(f"{path} is not a file", "give a vector file, as aoi.geojson")
        if not os.access(file, os.R_OK):
            raise UsageError(f"{path} may not be read", "check its permissions")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path[:200]} cannot be opened: {_cause(error)}", "check the path") from None
    return file


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_json(file: Path) -> bool:
    return file.suffix.lower() in (".geojson", ".json")


# -- GeoJSON -------------------------------------------------------------------------------------------------------


def _read_json(file: Path) -> Any:
    """A JSON document of bounded size. Raises AoiError for what is no JSON, NaN, and documents made to exhaust."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise AoiError(f"AOI file {file} is not text in UTF-8", "save it as UTF-8") from None
    for token, most in _MAX_TOKENS.items():
        if text.count(token) > most:
            raise AoiError(f"AOI file {file} has more than {MAX_VERTICES:,} vertices or attributes", "simplify it")
    return _parse_json(text, file)


def _parse_json(text: str, file: Path) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AoiError(f"AOI file {file} holds {constant}", "give finite numbers")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise AoiError(f"AOI file {file} is nested too deeply", "give plain GeoJSON") from None
    except ValueError as error:
        raise AoiError(f"AOI file {file} is not JSON: {str(error)[:120]}", "check that it is complete") from None


# -- everything else -----------------------------------------------------------------------------------------------


def _ogr_aoi(file: Path, layer: str | None, named: Path) -> Aoi:
    """An AOI of a file that OGR reads, by way of the same GeoJSON checks; `named` is what the user calls the file."""
    try:
        frame = _read_frame(str(file), layer, str(named), geometry_only=True)
    except UsageError:
        raise
    except GeoCropError as error:
        raise AoiError(error.what, error.remedy) from None
    if frame.crs is None:
        raise AoiError(f"AOI file {named} does not say its CRS", "add the .prj, or save it as GeoPackage")
    geometries = [one for one in frame.geometry if one is not None]
    count = int(shapely.get_num_coordinates(geometries).sum())
    if count > MAX_VERTICES:
        raise AoiError(f"AOI file {named} has {count:,} vertices", f"simplify it to {MAX_VERTICES:,}")
    if frame.attrs["driver"] in _ALTITUDE_FORMATS and shapely.has_z(geometries).any():
        _log.info("aoi.altitudes_dropped", path=str(named))
        geometries = list(shapely.force_2d(geometries))
    crs = {"type": "name", "properties": {"name": frame.crs.to_wkt()}}
    document = {"type": "GeometryCollection", "geometries": [mapping(one) for one in geometries], "crs": crs}
    return parse_aoi(document, name=named.stem)


def _read_frame(source: str, layer: str | None, named: str, *, geometry_only: bool = False) -> geopandas.GeoDataFrame:
    """One layer of a file; `layer` may be left out when there is only one."""
    try:
        with _warnings_logged(named):
            layer = _layer(source, layer, named)
            info = pyogrio.read_info(source, layer=layer)
            columns: list[str] | None = [] if geometry_only else None
            frame = geopandas.read_file(source, layer=layer, columns=columns, engine="pyogrio")
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError, *_FOREIGN) as error:
        cause = str(error).replace(source, named).splitlines() or ["no cause given"]
        raise DataError(f"{named} is no vector file that can be read: {cause[0][:200]}", "check the file") from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise DataError(f"{named} holds a table without geometries", "give a file of polygons")
    frame.attrs["driver"] = info.get("driver", "")
    return frame


@contextmanager
def _warnings_logged(named: str) -> Iterator[None]:
    """GDAL has opinions on many a file that it reads well; users see them in the log, not among their output."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in caught:
        _log.info("vectors.warning", path=named, message=str(one.message)[:200])


def _layer(source: str, layer: str | None, named: str) -> str:
    names = [str(name) for name in pyogrio.list_layers(source)[:, 0]]
    if layer is None and len(names) == 1:
        return names[0]
    if layer in names:
        return str(layer)
    listed = ", ".join(names[:20]) or "none"
    if layer:
        raise UsageError(f"{named} has no layer {layer!r}", f"there are: {listed}")
    remedy = "name an AOI's with --aoi-layer, or keep the one that is meant in a file of its own"
    raise UsageError(f"{named} has {len(names)} layers", f"there are: {listed}; {remedy}")


def _repaired(frame: geopandas.GeoDataFrame, path: str) -> geopandas.GeoDataFrame:
    invalid = ~frame.geometry.is_valid
    if invalid.any():
        _log.warning("vectors.repaired", path=path, features=int(invalid.sum()))
        frame = frame.set_geometry(frame.geometry.make_valid())
    return frame


def reprojected(frame: geopandas.GeoDataFrame, epsg: int, path: str) -> geopandas.GeoDataFrame:
    """Features of a file in another CRS; raises DataError when they cannot be brought there."""
    try:
        return frame.to_crs(epsg=epsg)
    except ProjError as error:
        raise DataError(f"{path} cannot be brought to EPSG:{epsg}: {error}", "check its CRS") from None


# -- tables --------------------------------------------------------------------------------------------------------


def _csv_frame(file: Path, named: str) -> geopandas.GeoDataFrame:
    return _points_of(_translated(lambda: pd.read_csv(file, encoding="utf-8-sig", low_memory=False), named), named)


def _parquet_frame(file: Path, named: str) -> geopandas.GeoDataFrame:
    """GeoParquet, or a plain table with lon and lat."""
    table = _translated(lambda: pd.read_parquet(file), named)
    try:
        return geopandas.read_parquet(file)
    except (ValueError, *_FOREIGN):  # it has no metadata of geometries
        return _points_of(table, named)


def _translated(read: Callable[[], pd.DataFrame], named: str) -> pd.DataFrame:
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        cause = str(error).splitlines() or ["no cause given"]
        raise DataError(f"{named} is no table that can be read: {cause[0][:200]}", "write it again") from None


def _points_of(table: pd.DataFrame, named: str) -> geopandas.GeoDataFrame:
    """Points of the columns lon and lat; raises DataError with the rows that have none."""
    names = {str(name).lower(): name for name in table.columns}
    place = next(((names[x], names[y]) for x, y in _LONLAT if x in names and y in names), None)
    if place is None:
        listed = ", ".join(str(name) for name in table.columns[:20])
        raise DataError(f"{named} has no columns lon and lat", f"it has {listed}: name the coordinates so")
    lon, lat = (pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in place)
    wrong = np.flatnonzero(~(np.isfinite(lon) & np.isfinite(lat)))
    if len(wrong):
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        rows = ", ".join(str(row + 1) for row in wrong[:_NAMED])
        raise DataError(f"row {rows}{more} of {named} has no {place[0]} or {place[1]}", "fill or leave out these rows")
    return geopandas.GeoDataFrame(table, geometry=shapely.points(lon, lat), crs=4326)


_TABLES: Mapping[str, Callable[[Path, str], geopandas.GeoDataFrame]] = {
    ".csv": _csv_frame,
    ".parquet": _parquet_frame,
    ".geoparquet": _parquet_frame,
}


# -- zip -----------------------------------------------------------------------------------------------------------


@contextmanager
def _unzipped(file: Path) -> Iterator[Path]:
    """The one vector file in an archive (zip or kmz), unpacked with its sidecars and a bound on what comes out."""
    with tempfile.TemporaryDirectory(prefix="geocrop-") as folder:
        yield _unpack(file, Path(folder))


def _unpack(file: Path, folder: Path) -> Path:
    """Raises StoreError when there is no room; all else that goes wrong is the archive's fault, also a wild offset."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _extract(archive, folder, file)
    except (OSError, *_BAD_ZIP) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise StoreError(f"{file} cannot be unpacked: {error.strerror}", "free space in TMPDIR") from None
        raise AoiError(f"AOI file {file} is a damaged archive: {error}", "zip it again, without password") from None


def _extract(archive: zipfile.ZipFile, folder: Path, file: Path) -> Path:
    members = archive.infolist()
    wanted = [m for m in members if Path(m.filename).suffix.lower() in _VECTOR_SUFFIXES]
    if len(wanted) != 1 or len(members) > _MAX_MEMBERS:
        raise AoiError(f"AOI file {file} holds {len(wanted)} vector files", "zip exactly one, with its sidecars")
    stem = wanted[0].filename.rpartition(".")[0]
    chosen = wanted + [m for m in members if m.filename in {stem + suffix for suffix in _SIDECARS}]
    left = MAX_BYTES
    for member in chosen:
        left = _extract_member(archive, member, folder / f"aoi{Path(member.filename).suffix.lower()}", left)
        if left < 0:
            raise AoiError(f"AOI file {file} unpacks to more than {MAX_BYTES // 1_000_000} MB", "simplify it")
    return folder / f"aoi{Path(wanted[0].filename).suffix.lower()}"


def _extract_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack under a name of our own, counting what really comes out; returns how much may still come."""
    with archive.open(member) as source, target.open("wb") as sink:
        while left >= 0 and (block := source.read(1 << 16)):
            left -= len(block)
            sink.write(block)
    return left
