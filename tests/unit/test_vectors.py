"""Vector files: every format gives the same AOI, and hostile files are refused."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import zipfile

import geopandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Point, Polygon, box

from steps.aoi import parse_aoi
from steps.errors import AoiError, DataError, StoreError, UsageError
from steps.vectors import MAX_BYTES, read_aoi, read_features, write_gpkg

FARM = box(4.0, 50.0, 4.1, 50.1)
KML = """<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><Polygon>
<outerBoundaryIs><LinearRing><coordinates>4,50,0 4.1,50,0 4.1,50.1,0 4,50.1,0 4,50,0</coordinates></LinearRing>
</outerBoundaryIs></Polygon></Placemark></Document></kml>"""


def frame(*geometries, crs="EPSG:4326"):
    return geopandas.GeoDataFrame({"class": range(len(geometries))}, geometry=list(geometries), crs=crs)


def geojson(geometry=FARM):
    return {"type": "Feature", "properties": {}, "geometry": geometry.__geo_interface__}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def refusal(path, kind=AoiError, **options) -> str:
    with pytest.raises(kind) as caught:
        read_aoi(str(path), **options)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def shapefile(tmp_path):
    folder = tmp_path / "shp"
    folder.mkdir()
    frame(FARM).to_file(folder / "farm.shp")
    return folder


@pytest.mark.parametrize(
    ("name", "driver"), [("farm.gpkg", "GPKG"), ("farm.fgb", "FlatGeobuf"), ("farm.shp", "ESRI Shapefile")]
)
def test_formats_agree_with_geojson(tmp_path, name, driver):
    """The same polygon in another format is the same AOI, named after its file."""
    frame(FARM).to_file(tmp_path / name, driver=driver)
    aoi = read_aoi(str(tmp_path / name))
    assert aoi == parse_aoi(geojson(), name="farm")


@pytest.mark.parametrize("name", ["farm.geojson", "farm.json", "farm.txt"])
def test_geojson_is_known_by_its_content(tmp_path, name):
    """The suffix does not matter, nor does a byte order mark."""
    (tmp_path / name).write_text("\ufeff" + json.dumps(geojson()), encoding="utf-8")
    assert read_aoi(str(tmp_path / name)) == parse_aoi(geojson(), name="farm")


def test_kml_loses_its_altitudes(tmp_path):
    """KML always has altitudes; they are dropped."""
    (tmp_path / "farm.kml").write_text(KML, encoding="utf-8")
    assert read_aoi(str(tmp_path / "farm.kml")) == parse_aoi(geojson(), name="farm")


def test_kmz_and_zipped_formats(tmp_path, shapefile):
    """One vector file in an archive is read, with its sidecars, also from a folder inside."""
    parts = {f"data/{part.name}": part.read_bytes() for part in shapefile.iterdir()}
    expected = parse_aoi(geojson())
    assert read_aoi(zipped(tmp_path / "a.zip", parts)).geometry == expected.geometry
    assert read_aoi(zipped(tmp_path / "a.kmz", {"doc.kml": KML})).geometry == expected.geometry
    assert read_aoi(zipped(tmp_path / "b.zip", {"x.geojson": json.dumps(geojson())})).geometry == expected.geometry


def test_projected_files_are_reprojected(tmp_path):
    """A GeoPackage in UTM covers the same place."""
    frame(FARM).to_crs(32631).to_file(tmp_path / "utm.gpkg")
    bounds = frame(Polygon(read_aoi(str(tmp_path / "utm.gpkg")).geometry["coordinates"][0])).total_bounds
    assert bounds == pytest.approx(FARM.bounds, abs=2e-5)  # straight in UTM is not straight here


def test_several_features_are_one_aoi(tmp_path):
    """All polygons of the layer count."""
    frame(FARM, box(4.1, 50.0, 4.2, 50.1)).to_file(tmp_path / "two.gpkg")
    whole = Polygon(read_aoi(str(tmp_path / "two.gpkg")).geometry["coordinates"][0])
    assert whole.equals(box(4.0, 50.0, 4.2, 50.1))


def test_a_layer_must_be_named_when_there_are_two(tmp_path):
    """The message lists the layers; a named one is read."""
    path = tmp_path / "both.gpkg"
    frame(FARM).to_file(path, layer="farm")
    frame(box(5, 50, 5.1, 50.1)).to_file(path, layer="other")
    assert "there are: farm, other; name an AOI's with --aoi-layer" in refusal(path, UsageError)
    assert read_aoi(str(path), layer="farm").geometry == parse_aoi(geojson()).geometry
    assert "no layer 'nope': there are: farm, other" in refusal(path, UsageError, layer="nope")


def test_geojson_has_no_layers(tmp_path):
    """A layer asked for is never silently another."""
    path = tmp_path / "farm.geojson"
    path.write_text(json.dumps(geojson()), encoding="utf-8")
    assert "no layer 'farm'" in refusal(path, UsageError, layer="farm")


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (LineString([(4, 50), (5, 51)]), "holds 'LineString'"),
        (Point(4, 50), "holds 'Point'"),
        (Polygon([(4, 50, 1), (5, 50, 1), (5, 51, 1)]), "is 3-D"),
        (Polygon([(4, 50), (5, 51), (5, 50), (4, 51)]), "self-intersection"),
    ],
)
def test_what_is_no_area_is_refused(tmp_path, geometry, says):
    """Lines, points, altitudes and knots are refused from binary formats too."""
    frame(geometry).to_file(tmp_path / "bad.gpkg")
    assert says in refusal(tmp_path / "bad.gpkg")


def test_a_shapefile_without_prj_is_refused(shapefile):
    """Without a CRS the coordinates mean nothing."""
    (shapefile / "farm.prj").unlink()
    assert "does not say its CRS" in refusal(shapefile / "farm.shp")


def test_a_table_without_geometries_is_refused(tmp_path):
    """A CSV of attributes is no AOI."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert "without geometries" in refusal(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"type": "Polygon", "coordi', "not JSON"),
        (b'{"type": "Polygon", "coordinates": [[[NaN, 1]]]}', "holds NaN"),
        (b'{"type": "Polygon", "coordinates": [[[1e999, 1], [1, 1], [1, 2], [1e999, 1]]]}', "inf as a coordinate"),
        (b'{"a": "\xff\xfe"}', "UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": [' + b"[]," * 500_000 + b"[]]}", "more than 100,000 vertices"),
        (b"[1,2]", "not a GeoJSON object"),
    ],
)
def test_bad_json_is_refused(tmp_path, content, says):
    """Broken, hostile and other JSON gets one line."""
    (tmp_path / "bad.geojson").write_bytes(content)
    assert says in refusal(tmp_path / "bad.geojson")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"not a vector file", b"<html></html>", b"SQLite format 3\x00xx"])
def test_other_files_are_refused(tmp_path, content):
    """What OGR cannot read is named."""
    (tmp_path / "some.gpkg").write_bytes(content)
    assert "some.gpkg" in refusal(tmp_path / "some.gpkg")


def test_virtual_files_are_refused(tmp_path):
    """An OGR VRT could fetch from anywhere."""
    (tmp_path / "a.vrt").write_text("<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>", encoding="utf-8")
    assert "refers to other files" in refusal(tmp_path / "a.vrt")


def test_paths_that_cannot_be_read(tmp_path):
    """Missing files, folders, pipes, URLs and odd names are usage errors, and do not hang."""
    os.mkfifo(tmp_path / "pipe")
    for path in (
        tmp_path / "none.geojson",
        tmp_path,
        tmp_path / "pipe",
        "http://127.0.0.1/a.geojson",
        "a\0b",
        "x" * 999,
    ):
        refusal(path, UsageError)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    """A sparse file of 10 GB costs neither time nor memory."""
    with (tmp_path / "big.geojson").open("wb") as stream:
        stream.truncate(10_000_000_000)
    assert "10,000 MB" in refusal(tmp_path / "big.geojson")


def test_a_zip_bomb_is_refused(tmp_path):
    """What unpacks to more than the limit is refused while it is unpacked."""
    path = zipped(tmp_path / "bomb.zip", {"a.shp": bytes(MAX_BYTES), "a.dbf": b"x" * 10})
    assert os.path.getsize(path) < 1_000_000  # noqa: PTH202
    assert "unpacks to more than 50 MB" in refusal(path)


def test_bad_archives_are_refused(tmp_path):
    """No vector file, two of them, paths that climb, and damage."""
    assert "holds 0 vector files" in refusal(zipped(tmp_path / "a.zip", {"readme.txt": "x"}))
    text = json.dumps(geojson())
    assert "holds 2 vector files" in refusal(zipped(tmp_path / "b.zip", {"a.geojson": text, "b.geojson": text}))
    read_aoi(zipped(tmp_path / "c.zip", {"../../climb.geojson": text}))
    assert not (tmp_path.parent.parent / "climb.geojson").exists()
    damaged = bytearray((tmp_path / "c.zip").read_bytes())
    damaged[60:70] = bytes(10)
    (tmp_path / "d.zip").write_bytes(damaged)
    assert "damaged archive" in refusal(tmp_path / "d.zip")


def test_hostile_json_stays_within_memory(tmp_path):
    """A 49 MB document made to fill the memory is refused within 700 MB."""
    path = tmp_path / "fill.geojson"
    path.write_bytes(b'{"type":"Polygon","coordinates":[' + b"[0]," * 12_000_000 + b"0]}")
    code = "import sys; from steps.vectors import read_aoi\ntry: read_aoi(sys.argv[1])\nexcept Exception as e: print(e)"
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (700_000_000, 700_000_000))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, encoding="utf-8", preexec_fn=limit, check=False
    )
    assert "more than 100,000 vertices" in done.stdout


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_give_an_aoi_or_an_error_of_ours(tmp_path, data):
    """A GeoPackage or archive with some bytes changed or cut never fails in another way."""
    source = tmp_path / "good.gpkg"
    if not source.exists():
        frame(FARM).to_file(source)
        zipped(tmp_path / "good.kmz", {"doc.kml": KML})
    name = data.draw(st.sampled_from(["good.gpkg", "good.kmz"]))
    content = bytearray((tmp_path / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    (tmp_path / f"bad-{name}").write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    with contextlib.suppress(AoiError, UsageError):
        assert read_aoi(str(tmp_path / f"bad-{name}"))


# -- features ------------------------------------------------------------------------------------------------------


def test_features_keep_their_attributes_in_another_crs(tmp_path):
    """Attributes and order stay, coordinates are reprojected."""
    frame(FARM, box(5, 50, 5.1, 50.1)).to_file(tmp_path / "zones.gpkg")
    features = read_features(str(tmp_path / "zones.gpkg"), epsg=32631)
    assert list(features["class"]) == [0, 1]
    assert features.crs.to_epsg() == 32631
    assert features.area.iloc[0] / 1e6 == pytest.approx(79.66, rel=1e-2)


def test_features_are_repaired_and_empty_ones_left_out(tmp_path):
    """A bow-tie becomes two triangles, a feature without geometry is dropped."""
    bow = Polygon([(4, 50), (5, 51), (5, 50), (4, 51)])
    frame(FARM, bow, None).to_file(tmp_path / "zones.gpkg")
    features = read_features(str(tmp_path / "zones.gpkg"))
    assert list(features["class"]) == [0, 1]
    assert features.geometry.is_valid.all()


def test_bad_feature_files_are_refused(tmp_path, shapefile):
    """No CRS, no features, no such file."""
    (shapefile / "farm.prj").unlink()
    with pytest.raises(DataError, match="does not say its CRS"):
        read_features(str(shapefile / "farm.shp"))
    frame(None).to_file(tmp_path / "none.gpkg")
    with pytest.raises(DataError, match="no feature"):
        read_features(str(tmp_path / "none.gpkg"))
    with pytest.raises(UsageError):
        read_features(str(tmp_path / "missing.gpkg"))


def test_a_geopackage_is_written_whole_or_not_at_all(tmp_path):
    """It replaces an older one, and leaves nothing else behind."""
    path = tmp_path / "areas.gpkg"
    write_gpkg(frame(FARM), path)
    write_gpkg(frame(FARM, FARM), path, layer="areas")
    assert len(read_features(str(path))) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["areas.gpkg"]
    with pytest.raises(StoreError):
        write_gpkg(frame(FARM), tmp_path / "no-folder" / "areas.gpkg")
