"""Parameters of gradient boosting found by Optuna within a time budget.

Whoever calls it says how a proposal is scored, and so which samples are seen: only inner folds are.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

Objective = Callable[[Mapping[str, Any]], float]
"""The score of some parameters; the greater the better."""
MAX_DEPTH = 8


def best_parameters(score: Objective, seconds: float, seed: int) -> dict[str, Any]:
    """The best parameters found in about so many seconds; empty when none beat those that training always uses.

    The last trial is finished: a search takes a little longer than it is given. How many trials fit depends on the
    machine, so two searches may end differently.
    """
    import optuna  # noqa: PLC0415 - takes half a second

    logging.getLogger("optuna").setLevel(logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)  # Bergstra et al. 2011
    study = optuna.create_study(direction="maximize", sampler=sampler)
    usual = score({})
    study.optimize(lambda trial: score(_proposed(trial)), timeout=seconds)
    return dict(study.best_params) if study.best_value > usual else {}


def _proposed(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 3, MAX_DEPTH),
        "eta": trial.suggest_float("eta", 0.02, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 20, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1),
        "colsample_bynode": trial.suggest_float("colsample_bynode", 0.05, 1, log=True),
        "lambda": trial.suggest_float("lambda", 0.1, 30, log=True),
    }
