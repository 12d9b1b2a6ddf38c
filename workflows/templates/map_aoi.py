"""`map-aoi`: an area becomes a published map.

plan, then for each part of the plan the batches of its tiles, then gate, mosaic and publish. The gate always runs: its
verdict, not the fate of a single tile, decides. With every tile in the store already there are no parts, and the gate
follows the plan at once.
"""

from steps.contract import Parameter
from workflows import kit, values
from workflows.kit import FILES, About, FileIn, FileOut, asked, given, path_out

_NAME = "workflow.parameters.name"
_ABOUT = About(
    title="Map an area",
    description="Plans the tiles of an area, classifies each batch of them in a pod, and publishes the map.",
    title_of_run=f"Map {{{{= {_NAME} == '' ? 'an area' : {_NAME} }}}}",
    description_of_run=f"Season {asked('season')}, model {asked('model')}, scenes of {asked('catalog')}",
)
_PLAN = FileIn(name="plan", file="plan.json", key=f"{FILES}/plan.json")
_COVERAGE = FileIn(name="coverage", file="coverage.json", key=f"{FILES}/coverage.json")
_JOB = FileIn(name="job", key=f"{FILES}/job", optional=True)
_TILES_ENDED = "tiles.Succeeded || tiles.Skipped || tiles.Failed || tiles.Errored || tiles.Omitted"
_OF_PLAN = {"aoi": f"{kit.WORK}/in/aoi", "out": path_out(), "slots": values.text("slots", "pods")}
"""Arguments of the step that are not the workflow's."""
_JITTER = "10"
_MOSAIC = kit.role("mosaic", memory_again=values.text("memory", "mosaic-again"), hours=6)


def build() -> kit.Built:
    """The WorkflowTemplate."""
    return kit.workflow_template(
        "map-aoi",
        _ABOUT,
        _parameters(),
        [_map(), _finish(), _group(), _plan(), _classify(), _gate(), _mosaic(), _publish(), _report(), _settle()],
        on_exit="settle",
    )


def _plan_parameters() -> list[Parameter]:
    return [one for one in kit.contract_of("plan").parameters if one.name not in {"out", "slots"}]


def _parameters() -> list[kit.AskedParameter]:
    about_aoi = "area of interest: GeoJSON in WGS84, or where it lies, as s3://bucket/key or an https URL"
    changes = {
        "aoi": {"description": about_aoi},
        "job": {"value": "{{workflow.name}}", "description": "id of the job; default: the workflow's name"},
        "store": {"value": values.text("store", "url")},
    }
    of_plan = [kit.parameter("plan", one.name, **changes.get(one.name, {})) for one in _plan_parameters()]
    return [*of_plan, *(kit.parameter("publish", name) for name in ("legend", "zones", "parcels"))]


def _map() -> kit.Template:
    after_plan = {name: f"{{{{tasks.plan.outputs.parameters.{name}}}}}" for name in ("job", "groups", "batch-size")}
    return kit.graph("map", [kit.task("plan"), kit.task("finish", depends="plan", arguments=after_plan)])


def _finish() -> kit.Template:
    """All after the plan; two workflows of one job take turns."""
    each = {"part": "{{item.part}}", "batches": "{{item.batches}}", "batch-size": given("batch-size")}
    return kit.graph(
        "finish",
        [
            kit.task("tiles", "group", arguments=each, each=given("groups")),
            kit.task("gate", depends=_TILES_ENDED),
            kit.task("mosaic", depends="gate"),
            kit.task("publish", depends="mosaic"),
            kit.task("report", depends="publish"),
        ],
        inputs=("job", "groups", "batch-size"),
        mutex=f"geocrop-{given('job')}",
        semaphore="maps",
    )


def _group() -> kit.Template:
    """A part of the plan; a loop within a loop, as an array of all batches would be too long for a parameter."""
    each = {"part": given("part"), "batch": "{{item}}", "batch-size": given("batch-size")}
    return kit.graph(
        "group",
        [kit.task("batch", "classify", arguments=each, count=given("batches"))],
        inputs=("part", "batches", "batch-size"),
    )


def _plan() -> kit.Template:
    return kit.step(
        "plan",
        {one.name: asked(one.name) for one in _plan_parameters()} | _OF_PLAN,
        kit.role("step"),
        files=[FileIn(name="aoi", content=asked("aoi"))],
        outputs=[
            FileOut(name="plan", key=f"{FILES}/plan.json"),
            FileOut(name="parts", key=f"{FILES}/parts"),
            FileOut(name="job-file", key=f"{FILES}/job"),
            FileOut(name="groups"),
            FileOut(name="batch-size"),
            FileOut(name="job"),
        ],
        semaphore="catalog",
    )


def _classify() -> kit.Template:
    part = FileIn(name="part", file="part.json", key=f"{FILES}/parts/{given('part')}.json")
    return kit.step(
        "classify",
        {
            "plan": part.path,
            "store": asked("store"),
            "batch": given("batch"),
            "batch-size": given("batch-size"),
            "jitter": _JITTER,
        },
        kit.role(
            "tile",
            memory_again=values.text("memory", "tile-again"),
            priority=kit.TILE_PRIORITY,
            hours=12,
            tries=6,
        ),
        inputs=("part", "batch", "batch-size"),
        files=[part],
    )


def _gate() -> kit.Template:
    return kit.step(
        "gate",
        {"plan": _PLAN.path, "store": asked("store"), "coverage": path_out("coverage.json")},
        kit.role("step"),
        files=[_PLAN],
        outputs=[FileOut(name="coverage", key=_COVERAGE.key)],
    )


def _mosaic() -> kit.Template:
    return kit.step(
        "mosaic",
        {"plan": _PLAN.path, "store": asked("store"), "legend": asked("legend")},
        _MOSAIC,
        files=[_PLAN],
    )


def _publish() -> kit.Template:
    return kit.step(
        "publish",
        {
            "plan": _PLAN.path,
            "store": asked("store"),
            "coverage": _COVERAGE.path,
            **{name: asked(name) for name in ("legend", "zones", "parcels")},
        },
        _MOSAIC,
        files=[_PLAN, _COVERAGE],
    )


def _report() -> kit.Template:
    return kit.step(
        "report",
        {"plan": _PLAN.path, "store": asked("store"), "coverage": _COVERAGE.path},
        kit.role("step"),
        files=[_PLAN, _COVERAGE],
    )


def _settle() -> kit.Template:
    return kit.step(
        "settle",
        {
            "job": _JOB.path,
            "store": asked("store"),
            "workflow": "{{workflow.name}}",
            "status": "{{workflow.status}}",
        },
        kit.role("step"),
        files=[_JOB],
    )
