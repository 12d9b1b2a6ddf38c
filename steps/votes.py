"""What training made, as a model file: xgboost's own format for a single booster, an ensemble for all else. Pure."""

import msgspec

from steps.ensemble import Ensemble, ForestMember, XgboostMember, encode_ensemble, from_sklearn
from steps.learners import Averaged, Boosted, Predictor
from steps.recipe import Followed


def encode_predictor(followed: Followed, features: int, classes: int) -> tuple[str, bytes]:
    """The learner's name for the card, and the model file's bytes. Every class must be known to every member."""
    weights = followed.choice.weights
    first = followed.members[next(iter(weights))]
    if len(weights) == 1 and isinstance(first, Boosted):
        return "xgboost", bytes(first.booster.save_raw("json"))
    total = sum(weights.values())
    members = tuple(_member(followed.members[name], weight / total) for name, weight in weights.items())
    return "ensemble", encode_ensemble(Ensemble(classes=classes, features=features, members=members))


def _member(predictor: Predictor, weight: float) -> XgboostMember | ForestMember:
    if isinstance(predictor, Boosted):
        return XgboostMember(weight=weight, model=msgspec.Raw(bytes(predictor.booster.save_raw("json"))))
    if isinstance(predictor, Averaged):
        forest = from_sklearn(predictor.trees, predictor.classes, predictor.edges)
        return msgspec.structs.replace(forest, weight=weight)
    raise TypeError(f"{type(predictor).__name__} is no member of a vote")
