"""MLflow's description of a model: flavours, signature, requirements. Pure."""

import json
from importlib.metadata import version
from typing import Any

import msgspec

from steps.model.card import ModelCard
from steps.versions import code_version

_SERVING = ("msgspec", "numba", "numpy", "structlog", "xgboost-cpu")
"""What a model's probabilities need beside GeoCrop itself. MLflow's own guess lists both wheels of xgboost."""


def mlmodel(card: ModelCard, model_file: str) -> str:
    """The file `MLmodel`, as JSON, which is YAML as well.

    Every model has MLflow's python_function flavour, which gives calibrated probabilities (steps/served.py); a single
    booster opens in its xgboost flavour, too.
    """
    described = {
        "flavors": {"python_function": {"loader_module": "steps.served", "env": {}}, **_xgboost(card, model_file)},
        "metadata": {"geocrop_card": "card.json", "geocrop_digest": card.digest},
        "signature": signature(card),
    }
    return msgspec.json.format(msgspec.json.encode(described), indent=1).decode() + "\n"


def _xgboost(card: ModelCard, model_file: str) -> dict[str, Any]:
    if card.learner != "xgboost":
        return {}
    flavour = {
        "data": model_file,
        "model_class": "xgboost.core.Booster",
        "model_format": "json",
        "xgb_version": version("xgboost-cpu"),
    }
    return {"xgboost": flavour}


def signature(card: ModelCard) -> dict[str, Any]:
    """Features by name, as float64, so that every number is taken; float32 (n, class) probabilities."""
    inputs = [{"type": "double", "name": name, "required": True} for name in card.spec.feature_names]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, len(card.classes)]}}]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}


def requirements(card: ModelCard) -> str:
    """The file `requirements.txt`: exact versions."""
    pinned = "".join(f"{name}=={version(name)}\n" for name in _SERVING)
    return f"# and GeoCrop {card.trained.get('code') or code_version()} itself, from its repository\n{pinned}"
