"""Which class of Dynamic World the name of a class means, and the safe colours that follow. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from steps.legend import DYNAMIC_WORLD
from steps.palette import SAFE_DYNAMIC_WORLD, SAFE_OTHERS

_STEMS: dict[str, str] = {
    "water": "water river lake reservoir pond ocean sea dam",
    "flooded vegetation": "flooded wetland marsh swamp mangrove vlei rice paddy paddies",
    "trees": "tree forest wood broadleaf broadleaved conifer eucalypt plantation orchard",
    "shrub and scrub": "shrub scrub bush savanna heath",
    "grass": "grass pasture meadow rangeland lawn",
    "built": "built build urban town city settlement road artificial impervious",
    "bare": "bare soil sand rock desert dune quarry",
    "snow and ice": "snow ice glacier",
    "crops": "crop arable agricult cultivat farm field fallow cereal maize corn wheat barley oat rye triticale sorghum "
    "millet soy soya soybean bean groundnut peanut potato cassava beet vegetable tomato onion sunflower rape rapeseed "
    "canola cotton tobacco sugar sugarcane cane",
}
"""Beginnings of words in a class's name, by Dynamic World's class (Brown et al. 2022, table 1, has fallow plots among
crops and rice paddies among flooded vegetation)."""
_ENDINGS = ("", "s", "es", "land", "lands", "field", "fields", "ed", "y")
_FREE_STEM = 5
"""Letters from which on a stem may have any ending."""
_DENIALS = frozenset({"non", "not", "no", "without"})


def counterpart(name: str) -> int | None:
    """The Dynamic World code that a class name means.

    None where no word of it is known, where its words mean several classes (but for flooded ones, which are flooded
    vegetation whatever grows there), and where it says what it is not.
    """
    names = [entry.name for entry in DYNAMIC_WORLD]
    if name.strip().lower() in names:
        return names.index(name.strip().lower())
    words = re.findall(r"[^\W\d_]+", name.lower())
    meant = {one for one, stems in _STEMS.items() for word in words if _begins(word, stems.split())}
    if "flooded vegetation" in meant:
        meant = {"flooded vegetation"}
    is_clear = len(meant) == 1 and not _DENIALS.intersection(words)
    return names.index(meant.pop()) if is_clear else None


def _begins(word: str, stems: Sequence[str]) -> bool:
    return any(
        word.startswith(stem) and (len(stem) >= _FREE_STEM or word.removeprefix(stem) in _ENDINGS) for stem in stems
    )


_CROPS = 4


def safe_colours(names: Mapping[int, str]) -> dict[int, str]:
    """Colours that all kinds of colour vision tell apart, by code, for class names by code.

    A class that is the only one of its cover has the cover's colour, so that water is water beside the baseline;
    crops and all others have colours of their own.
    """
    meant = {code: counterpart(name) for code, name in names.items()}
    alone = {cover for cover, times in Counter(meant.values()).items() if times == 1} - {_CROPS, None}
    others = [code for code in sorted(names) if meant[code] not in alone]
    own = {code: SAFE_OTHERS[n % len(SAFE_OTHERS)] for n, code in enumerate(others)}
    return own | {code: SAFE_DYNAMIC_WORLD[dw] for code, dw in meant.items() if dw is not None and dw in alone}
