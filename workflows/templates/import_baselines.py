"""`import-baselines`: exported Dynamic World GeoTIFFs become a COG per year."""

from workflows import kit, values
from workflows.kit import About, asked

_ABOUT = About(
    title="Import Dynamic World baselines",
    description="Checks exported Dynamic World GeoTIFFs and stores a COG for each year.",
)


def build() -> kit.Built:
    """The WorkflowTemplate."""
    parameters = [
        kit.parameter("baselines", "files"),
        kit.parameter("baselines", "year"),
        kit.parameter("baselines", "store", value=values.text("store", "url")),
    ]
    arguments = {one.name: asked(one.name) for one in parameters}
    step = kit.step("baselines", arguments, kit.role("train", hours=6))
    return kit.workflow_template(
        "import-baselines", _ABOUT, parameters, [kit.graph("main", [kit.task("baselines")]), step]
    )
