"""Inflated blocks kept for later."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.scratch import Scratch


def any_block(number: int, size: int = 100) -> bytes:
    return bytes([number]) * size


def test_a_block_is_what_was_put() -> None:
    """Until it is dropped."""
    scratch = Scratch()
    scratch.serve(["tile"])
    scratch.put("a", any_block(1), "tile")
    scratch.put("b", any_block(2, 50), "tile")
    assert (scratch.get("a"), scratch.get("b"), scratch.get("c")) == (any_block(1), any_block(2, 50), None)
    assert scratch.get("a", 10, 5) == any_block(1)[10:15]
    scratch.drop("a")
    assert (scratch.get("a"), len(scratch)) == (None, 1)


def test_blocks_of_others_are_forgotten() -> None:
    """Serving other owners drops what was held for those before."""
    scratch = Scratch()
    scratch.serve(["one", "two"])
    scratch.put("a", any_block(1), "one")
    scratch.put("b", any_block(2), "two")
    scratch.hand_on("a", "two")
    scratch.hand_on("c", "two")
    scratch.serve(["two", "three"])
    assert [scratch.get(key) for key in "ab"] == [any_block(1), any_block(2)]
    scratch.serve(["three"])
    assert len(scratch) == 0


def test_the_soonest_owner_has_precedence() -> None:
    """When room is short, blocks held for a later tile make way; never the other way round."""
    scratch = Scratch(limit=200)
    scratch.serve(["now", "then"])
    scratch.put("a", any_block(1), "then")
    scratch.put("b", any_block(2), "then")
    scratch.put("c", any_block(3), "now")
    scratch.put("d", any_block(4), "then")
    assert scratch.get("c") == any_block(3)
    assert sum(scratch.get(key) is not None for key in "abd") == 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([10, 20]), st.sampled_from("xyz"), st.booleans())))
def test_whatever_is_kept_is_right(steps: list[tuple[int, int, str, bool]]) -> None:
    """In any order of puts and drops, within any bound, a block is itself or absent."""
    scratch = Scratch(limit=100)
    scratch.serve(["x", "y", "z"])
    for number, size, owner, drops in steps:
        key = (number, size)
        scratch.drop(key) if drops else scratch.put(key, any_block(number, size), owner)
        for other in np.ndindex(10, 2):
            key = (other[0], 10 + 10 * other[1])
            assert scratch.get(key) in (None, any_block(*key))
