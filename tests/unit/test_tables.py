"""Ready-made tables of features."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from steps.errors import LabelError
from steps.model.spec import standard_spec
from steps.tables import read_table

ANY_LONLAT = {"lon": np.linspace(30, 32, 24), "lat": np.linspace(-18, -17, 24)}


def columns(**changes: Any) -> dict[str, Any]:
    """24 samples of two classes with two features."""
    rng = np.random.default_rng(0)
    return {"class": ["maize", "soya"] * 12, "ndvi": rng.random(24), "rain": rng.random(24)} | changes


def saved(folder: Path, content: dict[str, Any], name: str = "table.csv") -> str:
    """A table as a file."""
    frame, path = pd.DataFrame(content), folder / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return str(path)


def test_features_are_the_columns_of_numbers(tmp_path: Path) -> None:
    """Labels, ids, coordinates, parcels and text are none; the notes say what the table lacks."""
    path = saved(tmp_path, columns(id=range(24), soil="clay", parcel=["p1", "p2"] * 12, **ANY_LONLAT))
    found = read_table(path, "class", None, None)
    assert found.samples.names == ("table.ndvi", "table.rain")
    assert {entry.name for entry in found.classes} == {"maize", "soya"}
    assert len(np.unique(found.samples.groups)) == 2
    assert found.samples.placed
    assert [note.split(":")[0] for note in found.notes] == [
        "no map can be made with it", "no features, since they hold no numbers"
    ]  # fmt: skip
    assert found.notes[1].endswith("numbers: soil")


def test_the_same_table_in_every_format(tmp_path: Path) -> None:
    """CSV, Parquet, and columns parted by blanks under a header with #, are one table."""
    content = columns(**{"class": [0, 1] * 12})
    paths = [saved(tmp_path, content), saved(tmp_path, content, "table.parquet")]
    frame = pd.DataFrame(content)
    text = "# " + " ".join(frame.columns) + "\n" + frame.to_csv(sep=" ", index=False, header=False)
    (tmp_path / "table.txt").write_text(text, encoding="utf-8")
    digests = {read_table(path, "Class", None, None).samples.digest for path in (*paths, str(tmp_path / "table.txt"))}
    assert len(digests) == 1


def test_without_coordinates_no_spatial_score_is_promised(tmp_path: Path) -> None:
    """The note says so, also where x and y have no CRS."""
    for content in (columns(), columns(x=range(24), y=range(24))):
        found = read_table(saved(tmp_path, content), "class", None, None)
        assert not found.samples.placed
        assert any(note.startswith("no spatial score") for note in found.notes)


def test_coordinates_in_any_crs_are_one_place(tmp_path: Path) -> None:
    """Lon and lat, x and y with their CRS, and the points of a GeoParquet."""
    points = geopandas.GeoSeries(shapely.points(ANY_LONLAT["lon"], ANY_LONLAT["lat"]), crs=4326).to_crs(32736)
    geopandas.GeoDataFrame(columns(), geometry=points).to_parquet(tmp_path / "geo.parquet")
    degrees = read_table(saved(tmp_path, columns(**ANY_LONLAT)), "class", None, None).samples
    metres = read_table(saved(tmp_path, columns(x=points.x, y=points.y)), "class", None, 32736).samples
    geo = read_table(str(tmp_path / "geo.parquet"), "class", None, None).samples
    np.testing.assert_allclose(degrees.places, metres.places, atol=0.01)
    np.testing.assert_allclose(degrees.places, geo.places, atol=0.01)
    assert geo.names == degrees.names


def test_a_table_of_our_own_features_makes_maps(tmp_path: Path) -> None:
    """Its columns in any order; one that is missing or unknown is named, and no map is promised."""
    spec = standard_spec({"red", "nir"})
    content = columns() | {name: np.random.default_rng(1).random(24) for name in reversed(spec.feature_names)}
    del content["ndvi"], content["rain"]
    found = read_table(saved(tmp_path, content), "class", None, None)
    assert (found.spec, found.samples.names) == (spec, spec.feature_names)
    content["slope"] = content.pop(spec.feature_names[0])
    notes = read_table(saved(tmp_path, content), "class", None, None).notes
    assert f"(unknown are slope; missing are {spec.feature_names[0]})" in notes[0]


def test_a_missing_value_is_no_error(tmp_path: Path) -> None:
    """Trees know what to do with it; the columns and rows are named."""
    content = columns(**ANY_LONLAT)
    content["rain"][[3, 7]] = np.nan
    content["ndvi"][5] = np.nan
    found = read_table(saved(tmp_path, content), "class", None, None)
    assert np.isnan(found.samples.features[3, 1])
    assert [note for note in found.notes if "values are missing" in note and "rain (row 4, 8), ndvi (row 6)." in note]


def test_numbers_that_were_read_as_text_are_features(tmp_path: Path) -> None:
    """As a program may have quoted them."""
    content = columns()
    text = columns(rain=[repr(float(value)) for value in content["rain"]])
    one, other = (
        read_table(saved(tmp_path, table, f"{name}.parquet"), "class", None, None)
        for name, table in (("numbers", content), ("text", text))
    )
    assert one.samples.digest == other.samples.digest


def changed(column: str, rows: list[int], value: Any) -> dict[str, Any]:
    """The table with some values replaced."""
    content = {name: list(values) for name, values in columns(**ANY_LONLAT).items()}
    for row in rows:
        content[column][row] = value
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("class", [4, 9], None), r"row 5, 10 of .* has no class: fill it"),
        (changed("rain", [4, 9], "oops"), r"rain holds 'oops', which is no number, in row 5, 10 of .*: correct it"),
        (changed("rain", [2], np.inf), r"rain is infinite in row 3 of .*: correct them"),
        (changed("lat", [7], 1e9), r"row 8 of .* lies nowhere in EPSG:4326"),
        (changed("class", [*range(1, 24, 2)], "maize"), "only the class maize has samples"),
        (changed("class", [*range(1, 20, 2)], "maize"), r"class soya has 2 clear samples \(row 22, row 24\)"),
        ({**changed("ndvi", [5], None), "rain": [None if row == 5 else 1.0 for row in range(24)]},
         r"row 6 of .* has no feature"),
        ({"klass": ["a", "b"] * 12, "ndvi": [1.0] * 24}, r"no column class: it has klass, ndvi: name one"),
        ({"class": ["a", "b"] * 12, "soil": ["clay"] * 24}, "no column of numbers beside the label"),
        ({"class": [], "ndvi": []}, "has no rows"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    """By its rows or columns, with what to do."""
    with pytest.raises(LabelError, match=words):
        read_table(saved(tmp_path, content), "class", None, None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("table.xlsx", b"any", "no table that can be read: give one of .csv"),
        ("table.parquet", b"PAR1 or not", "is damaged"),
        ("table.csv", b"\xff\xfe\x00", "is damaged"),
        ("table.csv", b"", "is damaged"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """What can be read is said, and no traceback."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError, match=words):
        read_table(str(tmp_path / name), "class", None, None)


def test_a_table_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The remedy says how much fits."""
    with (tmp_path / "table.csv").open("wb") as file:
        file.truncate(1_000_000_000)
    with pytest.raises(LabelError, match="has 1,000 MB: give at most 300 MB"):
        read_table(str(tmp_path / "table.csv"), "class", None, None)
