"""Colours of what is no class: confidence, counts, reasons, disagreement. Six hex digits each. Pure."""

from steps.model.job import Reason

CONFIDENCE_RAMP = ("b5473a", "e8a25c", "f1e3b0", "7fb6ad", "1f6f78", "0d3b4f")
"""From no confidence to all of it; light in the middle, so that both ends stand out to all kinds of colour vision."""
CLEAR_RAMP = ("f3ead2", "d9d38c", "93bf85", "4d9a86", "2a6f85", "263f66")
"""From few clear observations to many."""
REASON_COLOURS = {
    Reason.MAPPED: "cdd8cf",
    Reason.NO_SCENES: "6b7280",
    Reason.ALL_CLOUD: "9db8d9",
    Reason.READ_ERROR: "d1495b",
    Reason.WORKER_LOST: "7b2d43",
    Reason.MASKED: "d9cfb8",
    Reason.BAD_SCENE: "e9973f",
}
AGREES, DISAGREES = 0, 1
"""Values of the disagreement layer; 255 where there is no map or no baseline."""
DISAGREEMENT_COLOURS = {AGREES: "cdd8cf", DISAGREES: "b5179e"}
SAFE_DYNAMIC_WORLD = (
    "0072b2", "00543c", "6fbf97", "a98fc9", "e69f00", "f0e442", "b3261e", "8c8c8c", "e8e6f2",
)  # fmt: skip
"""Dynamic World's classes, by code, apart in lightness too (after Okabe and Ito); the web page has the same."""
SAFE_OTHERS = (
    "e69f00", "f7e08a", "882255", "b8d94a", "cc79a7", "56b4e9", "d55e00", "44aa99", "332288", "999933",
)  # fmt: skip
"""For crops, and for classes that are no cover of Dynamic World's, in order (Okabe and Ito, Tol's muted)."""
EXTRA_COLOUR = "888888"
"""Where a colour is none."""


def rgb(colour: str) -> tuple[int, int, int]:
    """0 to 255 each."""
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


def ramp_colour(ramp: tuple[str, ...], share: float) -> tuple[int, int, int]:
    """The colour at a share (0 to 1) of the way along a ramp, red, green, blue."""
    place = max(0.0, min(1.0, share)) * (len(ramp) - 1)
    low = min(int(place), len(ramp) - 2)
    part = place - low
    first, second = rgb(ramp[low]), rgb(ramp[low + 1])
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return red, green, blue
