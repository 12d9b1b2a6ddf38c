"""`clean-storage`: what no job refers to goes, and a clock that starts it every night."""

from workflows import kit, values
from workflows.kit import About, asked

NAME = "clean-storage"
_ABOUT = About(
    title="Clean the storage",
    description="Removes old tiles that no job refers to, and files of old workflows; maps always stay.",
    description_of_run=f"What no job refers to, older than {asked('days')} days, in {asked('store')}",
)


def build() -> kit.Built:
    """The WorkflowTemplate."""
    parameters = [
        kit.parameter("clean", "store", value=values.text("store", "url")),
        kit.parameter("clean", "days"),
        kit.parameter("clean", "dry-run"),
    ]
    arguments = {one.name: asked(one.name) for one in parameters}
    step = kit.step("clean", arguments, kit.role("step"))
    return kit.workflow_template(NAME, _ABOUT, parameters, [kit.graph("main", [kit.task("clean")]), step])


def build_clock() -> kit.Built:
    """The CronWorkflow."""
    return kit.cron_workflow(f"{NAME}-nightly", _ABOUT, "30 2 * * *", NAME, {})
