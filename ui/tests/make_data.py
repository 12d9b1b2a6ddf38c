"""What the page's tests look at: a made landscape, its baselines 2015-2025 and a model: `make_data.py FOLDER`.

`land` in the folder is the STAC catalog; `home` is GEOCROP_HOME with the model, and the store with the baselines;
`files` are an area as people have it: GeoPackage and zipped shapefile.
"""

import os
import shutil
import sys
from pathlib import Path


def make(folder: Path) -> None:
    """Everything, from nothing."""
    os.environ["GEOCROP_HOME"] = str(folder / "home")
    from steps.baselines import import_baselines  # noqa: PLC0415 - settings are read from here on
    from steps.cli import dispatch  # noqa: PLC0415
    from steps.landscape import make_landscape  # noqa: PLC0415
    from steps.settings import settings  # noqa: PLC0415
    from steps.store import open_store  # noqa: PLC0415

    land = make_landscape(folder / "land", size_px=1536, dates=6, years=tuple(range(2015, 2026)))
    store = open_store(str(folder / "home/store"), settings())
    import_baselines([str(path) for path in land.baselines.values()], store)
    _write_files(folder / "files")
    where = ("--season", str(land.season), "--catalog", str(land.catalog))
    labels = ("--labels", str(land.labels), "--label-column", "class", "--legend", str(land.legend))
    if code := dispatch(["train", *labels, *where, "--name", "demo-crops", "--quick"]):
        raise SystemExit(code)


def _write_files(folder: Path) -> None:
    """The same triangle, in the plane of its UTM zone, in two formats."""
    import geopandas  # noqa: PLC0415 - after the settings
    import shapely  # noqa: PLC0415

    folder.mkdir()
    triangle = shapely.Polygon([(31.09, -17.80), (31.12, -17.80), (31.12, -17.84)])
    frame = geopandas.GeoDataFrame({"name": ["any"]}, geometry=[triangle], crs=4326).to_crs(32736)
    frame.to_file(folder / "north.gpkg", driver="GPKG")
    (folder / "shape").mkdir()
    frame.to_file(folder / "shape/north.shp")
    shutil.make_archive(str(folder / "north"), "zip", folder / "shape")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
