"""MLflow's python_function of a model: `mlflow.pyfunc.load_model("models:/crops@champion").predict(features)`.

The same compiled forest that maps; a GeoCrop of the model's version must be installed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.errors import ModelError
from steps.forest import Forest, classify, compile_forest
from steps.model.card import ModelCard
from steps.models import load_card, load_model


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What MLflow calls."""

    card: ModelCard
    forest: Forest

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """float32 (n, class): calibrated probabilities of a data frame, or of an array (n, feature).

        Raises ModelError when the features are not the model's.
        """
        del params
        names = self.card.spec.feature_names
        columns = model_input[list(names)] if hasattr(model_input, "columns") else model_input
        values = np.asarray(columns, np.float32)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise ModelError(f"features have the shape {values.shape}", f"give {len(names)} columns")
        return classify(self.forest, values.T, temperature=self.card.temperature).probabilities.T


def _load_pyfunc(path: str) -> ServedModel:
    """What MLflow looks for in a loader module. Raises ModelError when the folder is not whole."""
    card = load_card(path)
    return ServedModel(card, compile_forest(load_model(path, card), card.learner))
