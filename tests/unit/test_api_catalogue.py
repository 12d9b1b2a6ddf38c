"""What there is to choose from, as the clerk's process tells it."""

import msgspec

from api.catalogue import _model
from steps.model.card import Reference
from steps.model.registry import RegisteredModel
from steps.testing import any_card


def test_a_model_that_knows_its_training_is_listed() -> None:
    """A card comes through JSON, where class codes are text: it is read all the same."""
    reference = Reference(edges={"any": (0.5,)}, shares={"any": (0.5, 0.5, 0.0)}, classes={3: 0.25, 7: 0.75})
    told = {
        "card": any_card(reference=reference),
        "model": RegisteredModel(name="any-model", version="2", digest="any-digest", aliases=("champion",)),
    }
    seen = _model(msgspec.json.decode(msgspec.json.encode(told)))
    assert (seen.name, seen.version, seen.aliases) == ("any-model", "2", ["champion"])
    assert [one.code for one in seen.classes] == [one.code for one in any_card().classes]
