"""`train-model`: labels become a model of the registry."""

from workflows import kit
from workflows.kit import About, asked

_ABOUT = About(
    title="Train a model",
    description="Samples labelled fields, trains a model, scores and registers it.",
    title_of_run=f"Train {asked('name')}",
    description_of_run=f"Labels of {asked('labels')}, season {asked('season')}",
)


def build() -> kit.Built:
    """The WorkflowTemplate."""
    names = [one.name for one in kit.contract_of("train").parameters]
    parameters = [kit.parameter("train", name) for name in names]
    train = kit.step("train", {name: asked(name) for name in names}, kit.role("train", hours=24), semaphore="catalog")
    return kit.workflow_template("train-model", _ABOUT, parameters, [kit.graph("main", [kit.task("train")]), train])
