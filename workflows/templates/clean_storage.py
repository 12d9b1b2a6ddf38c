"""`clean-storage`: what nobody has used for long goes, and a clock that starts it every night."""

from workflows import kit, values
from workflows.kit import About, asked

NAME = "clean-storage"
_ABOUT = About(
    title="Clean the storage",
    description="Removes tiles that no job has used for long, and files of old workflows; maps always stay.",
    description_of_run=f"What nobody has used for {asked('days')} days in {asked('store')}",
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
