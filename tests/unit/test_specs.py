"""A feature spec from a file is the standard one with the fields that the file gives."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.errors import DataError, UsageError
from steps.model.spec import FeatureSpec, Layer, standard_spec
from steps.specs import read_fields, spec_with
from steps.testing import any_card

BANDS = {"red", "nir", "green", "blue"}


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def spec_in(path: str) -> FeatureSpec:
    """As training reads it."""
    fields = read_fields(path)
    return spec_with(fields, fields.get("bands", BANDS), 365, path)


def test_what_is_left_out_is_standard(tmp_path: Path) -> None:
    """Clear classes and a layer change nothing else; TOML and JSON say the same."""
    toml = written(tmp_path / "a.toml", 'clear_classes = [2, 4]\n[[layers]]\nname = "dem"\n')
    json = written(tmp_path / "a.json", '{"clear_classes": [2, 4], "layers": [{"name": "dem"}]}')
    found = spec_with(read_fields(toml), BANDS, 200)
    expected = msgspec.structs.replace(
        standard_spec(BANDS), season_days=200, clear_classes=(2, 4), layers=(Layer(name="dem"),)
    )
    assert found == expected == spec_with(read_fields(json), BANDS, 200)


def test_no_fields_are_the_standard_spec() -> None:
    """With the season's length."""
    assert spec_with({}, BANDS, 365) == standard_spec(BANDS)


def test_a_models_spec_is_taken_whole(tmp_path: Path) -> None:
    """A model's folder or its card gives the very spec, whatever bands and season there are."""
    card = any_card()
    written(tmp_path / "card.json", msgspec.json.encode(card).decode())
    for path in (tmp_path, tmp_path / "card.json"):
        assert spec_with(read_fields(str(path)), BANDS, 99) == card.spec


def test_other_bands_than_the_standard_ones_may_be_named(tmp_path: Path) -> None:
    """With what is made of them."""
    path = written(tmp_path / "a.toml", 'bands = ["coastal"]\ncomposites = ["coastal"]\n')
    assert spec_in(path) == FeatureSpec(bands=("coastal",), composites=("coastal",))


@given(st.builds(FeatureSpec, bands=st.just(("red",)), composites=st.just(("red",)), gap_limit=st.integers(0, 9)))
def test_a_whole_spec_comes_back(spec: FeatureSpec) -> None:
    """A spec written out in full is that spec."""
    assert spec_with(msgspec.to_builtins(spec), BANDS, 365) == spec


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "clear_clases = [2]", "has no field clear_clases"),
        ("a.toml", "clear_classes = ", "is not what its name says"),
        ("a.json", "clear_classes = [2]", "is not what its name says"),
        ("a.json", "[1]", "holds no fields"),
        ("a.json", '{"clear_classes": "all"}', "clear_classes"),
        ("a.json", '{"clear_classes": [0]}', "0 is no data"),
        ("a.json", '{"layers": [{"name": "dem", "kind": "rainfall"}]}', "static, sentinel1 or table"),
        ("a.json", '{"bands": "red"}', "bands"),
        ("a.json", '{"bands": [1]}', "bands"),
        ("a.json", '{"bands": 1}', "bands"),
        ("a.json", '{"bands": ["coastal"]}', "features need names"),
    ],
)
def test_a_wrong_spec_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    """By file and field."""
    path = written(tmp_path / name, text)
    with pytest.raises(DataError, match=words) as caught:
        spec_in(path)
    assert path in str(caught.value)


def test_no_file_is_a_usage_error(tmp_path: Path) -> None:
    """Also a folder that is no model's."""
    with pytest.raises(UsageError, match="cannot be read"):
        read_fields(str(tmp_path))
