"""The report's section on drift: what it says, that it is safe, and that everybody can read it."""

import msgspec
import pytest

from steps.drift import ClassShare, Drift, FeatureDrift, Verdict
from steps.drift_report import UNMEASURED, drift_warnings, render_drift
from steps.model.card import ClassDef
from steps.testing import any_classes

HOSTILE = '"><script>alert(1)</script>'
replace = msgspec.structs.replace


def any_feature(number: int, psi: float) -> FeatureDrift:
    return FeatureDrift(
        name=f"ndvi.p{number:02}", psi=psi, limit=0.1, weight=0.1, rise=2.0, missing=0.0, missing_trained=0.0
    )


def any_drift(verdict: Verdict = Verdict.DISTRUST) -> Drift:
    """Ten features, the worst of which have moved."""
    return Drift(
        verdict=verdict,
        sentence="Do not trust this map: 60% of it lies outside.",
        pixels=4096,
        outside=0.6,
        outside_trained=0.05,
        dissimilarity=1.2,
        moved=0.5,
        class_shift=0.3,
        features=tuple(any_feature(number, (10 - number) / 20) for number in range(10)),
        classes=(
            ClassShare(code=0, name="maize", trained=0.5, mapped=0.2),
            ClassShare(code=7, name="forest", trained=0.5, mapped=0.8),
        ),
        tiles=3,
        tiles_unmeasured=1,
    )


def test_it_says_the_verdict_and_its_reasons() -> None:
    """Sentence, shares, the features with their indices, the classes, the sample, and what has none."""
    html = render_drift(any_drift(), any_classes())
    for said in (
        "do not trust", "60% of it lies outside", "60.0\u202f%", "6 of 10", "1.20", "30.0\u202f%", "ndvi.p00", "0.50",
        "higher", "as before", "maize", "80.0\u202f%", "The other 2 features", "4\u202f096 pixels of 3 tiles",
        "1 tile was made before", "drift.json", "Meyer &amp; Pebesma 2021",
    ):  # fmt: skip
        assert said in html, said


@pytest.mark.parametrize("verdict", [Verdict.CAUTION, Verdict.DISTRUST, Verdict.UNKNOWN])
def test_readers_are_warned_first(verdict: Verdict) -> None:
    """Whatever is not familiar is said above the map; without a reference, that nobody knows."""
    assert drift_warnings(any_drift(verdict)) == (any_drift().sentence,)
    assert drift_warnings(any_drift(Verdict.OK)) == ()
    assert drift_warnings(None) == (UNMEASURED,)


def test_nothing_measured_is_one_sentence() -> None:
    """No figure and no table stand where there is no number."""
    html = render_drift(any_drift(Verdict.UNKNOWN), any_classes())
    assert any_drift().sentence in html
    assert "<table" not in html


def test_hostile_names_stay_text() -> None:
    """Names of features and classes and colours are escaped, or replaced."""
    drift = any_drift()
    drift = replace(
        drift,
        sentence=HOSTILE,
        features=(replace(drift.features[0], name=HOSTILE),),
        classes=(replace(drift.classes[0], name=HOSTILE),),
    )
    html = render_drift(drift, [ClassDef(code=0, name=HOSTILE, colour='red;background:url("http://evil")')])
    assert "<script" not in html
    assert "evil" not in html
