"""Exports Dynamic World from Google Earth Engine: a year's most frequent class of each 10 m pixel, as GeoTIFFs.

    pip install earthengine-api && earthengine authenticate
    python export_dynamic_world.py area.geojson --years 2017 2024 --project MY-PROJECT --drive dynamic-world
    geocrop baselines import dynamic-world/*.tif --out s3://geocrop-results

Pixels have Dynamic World's own labels 0 (water) to 8 (snow and ice), 255 where nothing was seen all year.

Dynamic World V1 is CC BY 4.0: "This dataset is produced for the Dynamic World Project by Google in partnership with
National Geographic Society and the World Resources Institute." (Brown et al. 2022, doi:10.1038/s41597-022-01307-4.)
Earth Engine itself is free for research, education and nonprofit use only.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

COLLECTION = "GOOGLE/DYNAMICWORLD/V1"
METRES = 10
NODATA = 255
FIRST_YEAR = 2015


def main(arguments: list[str]) -> int:
    """Start an export for each year; Earth Engine goes on by itself."""
    asked = parse(arguments)
    area = geometry_of(json.loads(asked.area.read_text(encoding="utf-8")))
    import ee  # noqa: PLC0415 - not one of our dependencies

    ee.Initialize(project=asked.project)
    for year in range(asked.years[0], asked.years[-1] + 1):
        task = export(ee, area, year, asked)
        task.start()
        sys.stdout.write(f"{year}: task {task.id}, see https://code.earthengine.google.com/tasks\n")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="export_dynamic_world.py")
    parser.add_argument("area", type=Path, help="GeoJSON in longitude and latitude")
    parser.add_argument("--years", type=int, nargs="+", required=True, metavar="YEAR", help="first and last, or one")
    parser.add_argument("--project", required=True, help="your Earth Engine project")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--drive", metavar="FOLDER", help="of your Google Drive")
    where.add_argument("--bucket", help="of Google Cloud Storage")
    parser.add_argument("--crs", default="", help="as EPSG:32736; by default the UTM zone of the area's middle")
    asked = parser.parse_args(arguments)
    if min(asked.years) < FIRST_YEAR:
        parser.error(f"Dynamic World begins in {FIRST_YEAR}")
    return asked


def geometry_of(document: dict[str, Any]) -> dict[str, Any]:
    """The geometry of a GeoJSON document: of several features all of them."""
    if document["type"] == "FeatureCollection":
        return {"type": "GeometryCollection", "geometries": [geometry_of(one) for one in document["features"]]}
    return dict(document["geometry"]) if document["type"] == "Feature" else document


def utm_of(longitude: float, latitude: float) -> str:
    """The UTM zone of a place, without the exceptions of Norway and Svalbard."""
    zone = int((longitude + 180) // 6) % 60 + 1
    return f"EPSG:{32600 + zone if latitude >= 0 else 32700 + zone}"


def export(ee: Any, area: dict[str, Any], year: int, asked: argparse.Namespace) -> Any:
    """A task of Earth Engine that is not started yet."""
    region = ee.Geometry(area)
    labels = ee.ImageCollection(COLLECTION).filterBounds(region).filterDate(f"{year}-01-01", f"{year + 1}-01-01")
    image = labels.select("label").mode().unmask(NODATA).toByte().clip(region)
    longitude, latitude = region.centroid(METRES).coordinates().getInfo()
    name = f"dynamic-world-{year}"
    settings: dict[str, Any] = {
        "image": image,
        "description": name,
        "region": region.bounds(),
        "scale": METRES,
        "crs": asked.crs or utm_of(longitude, latitude),
        "maxPixels": 1e13,
        "fileDimensions": 32768,
        "formatOptions": {"cloudOptimized": True, "noData": NODATA},
        "fileNamePrefix": name,
    }
    if asked.bucket:
        return ee.batch.Export.image.toCloudStorage(bucket=asked.bucket, **settings)
    return ee.batch.Export.image.toDrive(folder=asked.drive, **settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
