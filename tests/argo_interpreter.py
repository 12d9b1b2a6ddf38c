"""Walks a rendered WorkflowTemplate as Argo would, with each step as a process of this machine.

Only what our templates use is known; anything else raises Unsupported, so that nothing is passed over in silence. Pods
run one after the other. An artifact's key is a path below a folder that stands for the bucket.
"""

import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps.cli import main

Json = dict[str, Any]
_DONE = {"Succeeded", "Skipped"}
_FAILED = {"Failed", "Error"}
_TEMPLATE_FIELDS = {
    "name", "metadata", "inputs", "outputs", "container", "dag", "volumes", "serviceAccountName", "securityContext",
    "activeDeadlineSeconds", "priorityClassName", "retryStrategy", "podSpecPatch", "synchronization",
}  # fmt: skip
_TASK_FIELDS = {"name", "template", "depends", "arguments", "withParam", "withSequence"}
_SPEC_FIELDS = {
    "entrypoint", "onExit", "arguments", "templates", "workflowMetadata", "serviceAccountName", "parallelism",
    "activeDeadlineSeconds", "archiveLogs", "podSpecPatch", "podGC", "ttlStrategy",
}  # fmt: skip


_PRELOADED = ["steps.cli", "steps.tile", "steps.publish", "steps.asked", "steps.map_notes"]


def _step(arguments: list[str], env: dict[str, str], stderr: str) -> None:
    """Run a step and exit with its code."""
    os.environ.update(env)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT), 2)
    sys.exit(main(arguments))


class Unsupported(Exception):  # noqa: N818 - what it is
    """Something that this interpreter does not know."""


@dataclass
class Ran:
    """A pod that ran."""

    template: str
    code: int
    arguments: list[str]
    stderr: str


@dataclass
class Interpreter:
    """A workflow made of a template, and what has become of it."""

    template: Json
    bucket: Path
    env: Mapping[str, str]
    name: str = "any-workflow"
    pods: list[Ran] = field(default_factory=list)
    disturb: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Exit codes that the first pods of a template get, without running."""

    def run(self, parameters: Mapping[str, str]) -> str:
        """The phase that the workflow ends in; its exit handler has run, too."""
        spec = self.template["spec"]
        _known(spec, _SPEC_FIELDS, "spec")
        asked = {one["name"]: one for one in spec["arguments"]["parameters"]}
        assert parameters.keys() <= asked.keys(), parameters.keys() - asked.keys()
        values = {name: str(parameters.get(name, one["value"])) for name, one in asked.items()}
        for name, one in asked.items():
            assert values[name] in one.get("enum", [values[name]]), f"{name}={values[name]}"
        named = {"workflow.name": self.name}
        scope = named | {f"workflow.parameters.{name}": _filled(value, named) for name, value in values.items()}
        phase, _ = self._call(spec["entrypoint"], {}, scope)
        if "onExit" in spec:
            self._call(spec["onExit"], {}, scope | {"workflow.status": phase})
        return phase

    def ran(self, template: str) -> list[Ran]:
        """The pods of a template."""
        return [pod for pod in self.pods if pod.template == template]

    def _call(self, name: str, given: Mapping[str, str], scope: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Phase and output parameters of a template."""
        template = next(one for one in self.template["spec"]["templates"] if one["name"] == name)
        _known(template, _TEMPLATE_FIELDS, f"template {name}")
        own = {key: value for key, value in scope.items() if key.startswith("workflow.")}
        inner = own | {f"inputs.parameters.{key}": value for key, value in given.items()}
        if "dag" in template:
            return self._graph(_filled(template, inner), inner), {}
        return self._pod(_filled(template, inner))

    # -- graphs ------------------------------------------------------------------------------------------------

    def _graph(self, template: Json, scope: dict[str, str]) -> str:
        phases: dict[str, str] = {}
        for task in template["dag"]["tasks"]:
            _known(task, _TASK_FIELDS, f"task {task['name']}")
            filled = _filled(task, scope)
            if not _ready(filled.get("depends", ""), phases):
                phases[task["name"]] = "Omitted"
                continue
            phases[task["name"]], outputs = self._task(filled, scope)
            scope |= {f"tasks.{task['name']}.outputs.parameters.{key}": value for key, value in outputs.items()}
        return _phase_of(template["dag"]["tasks"], phases)

    def _task(self, task: Json, scope: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        if "withParam" in task:
            items = json.loads(task["withParam"])
        elif "withSequence" in task:
            _known(task["withSequence"], {"count"}, "withSequence")
            items = [str(number) for number in range(int(task["withSequence"]["count"]))]
        else:
            return self._call(task["template"], _arguments(task), scope)
        phases = [self._call(task["template"], _arguments(_filled(task, _item(one))), scope)[0] for one in items]
        return ("Failed" if _FAILED & set(phases) else "Succeeded") if phases else "Skipped", {}

    # -- pods --------------------------------------------------------------------------------------------------

    def _pod(self, template: Json) -> tuple[str, dict[str, str]]:
        """Try, and try again as the retry strategy says."""
        for number in range(int(template.get("retryStrategy", {}).get("limit", 0)) + 1):
            with tempfile.TemporaryDirectory(prefix="pod-") as work:
                if (code := self._try(template, Path(work))) == 0:
                    return "Succeeded", self._outputs(template, Path(work))
            if not again(template["retryStrategy"]["expression"], code, number):
                break
        return "Failed", {}

    def _try(self, template: Json, work: Path) -> int:
        name = template["name"]
        before = len(self.ran(name))
        arguments = [_placed(argument, work) for argument in template["container"]["args"]]
        self._inputs(template, work)
        codes = self.disturb.get(name, ())
        if before < len(codes) and codes[before]:
            self.pods.append(Ran(name, codes[before], arguments, "disturbed"))
            return codes[before]
        assert template["container"]["command"] == ["geocrop"]
        code = self._process(arguments, work / "stderr")
        self.pods.append(Ran(name, code, arguments, (work / "stderr").read_text(encoding="utf-8")))
        return code

    def _process(self, arguments: Sequence[str], stderr: Path) -> int:
        """A step in a process of its own, forked from one that has imported all that steps import."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        process = context.Process(target=_step, args=(list(arguments), dict(self.env), str(stderr)))
        process.start()
        process.join(300)
        assert process.exitcode is not None, f"{arguments} takes too long"
        return process.exitcode

    def _inputs(self, template: Json, work: Path) -> None:
        for artifact in template.get("inputs", {}).get("artifacts", []):
            target = Path(_placed(artifact["path"], work))
            target.parent.mkdir(parents=True, exist_ok=True)
            if "raw" in artifact:
                target.write_text(artifact["raw"]["data"], encoding="utf-8")
                continue
            source = self.bucket / artifact["s3"]["key"]
            if source.exists() or not artifact.get("optional"):
                shutil.copy(source, target)

    def _outputs(self, template: Json, work: Path) -> dict[str, str]:
        outputs = template.get("outputs", {})
        for artifact in outputs.get("artifacts", []):
            assert artifact["archive"] == {"none": {}}
            source, target = Path(_placed(artifact["path"], work)), self.bucket / artifact["s3"]["key"]
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, target)
        return {
            one["name"]: Path(_placed(one["valueFrom"]["path"], work)).read_text(encoding="utf-8")
            for one in outputs.get("parameters", [])
        }


def _known(thing: Mapping[str, Any], fields: set[str], where: str) -> None:
    if unknown := sorted(thing.keys() - fields):
        raise Unsupported(f"{where} has {', '.join(unknown)}")


def _placed(text: str, work: Path) -> str:
    """A path of the pod on this machine."""
    return re.sub(r"(?<![\w.])/pod(?=/)", str(work), text)


def _item(item: Any) -> dict[str, str]:
    if isinstance(item, dict):
        return {f"item.{name}": str(value) for name, value in item.items()}
    return {"item": str(item)}


def _arguments(task: Json) -> dict[str, str]:
    return {one["name"]: one["value"] for one in task.get("arguments", {}).get("parameters", [])}


def _filled(thing: Any, scope: Mapping[str, str]) -> Any:
    """Every `{{name}}` that is known, replaced; an expression but in a pod's patch is not supported."""
    if isinstance(thing, dict):
        return {key: value if key == "podSpecPatch" else _filled(value, scope) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_filled(one, scope) for one in thing]
    if not isinstance(thing, str):
        return thing
    if "{{=" in thing:
        raise Unsupported(thing)
    return re.sub(r"\{\{\s*([^{}]+?)\s*\}\}", lambda match: scope.get(match[1], match[0]), thing)


def _ready(depends: str, phases: Mapping[str, str]) -> bool:
    """Whether a task's condition holds, all that it names having ended."""
    if not depends:
        return True
    found = []
    for term in depends.split("||"):
        match = re.fullmatch(r"\s*([\w-]+)(?:\.(Succeeded|Failed|Errored|Skipped|Omitted))?\s*", term)
        if match is None:
            raise Unsupported(f"depends: {term}")
        phase = "Errored" if phases[match[1]] == "Error" else phases[match[1]]
        found.append(phase == match[2] if match[2] else phase in _DONE)
    return any(found)


def _phase_of(tasks: Sequence[Json], phases: Mapping[str, str]) -> str:
    """A graph is what its last tasks are; one that was omitted is what those before it are."""
    before = {
        task["name"]: set(re.findall(r"[\w-]+(?=\.|\s|$)", task.get("depends", ""))) & phases.keys() for task in tasks
    }
    last = phases.keys() - set().union(*before.values())

    def failed(name: str) -> bool:
        if phases[name] == "Omitted":
            return any(failed(one) for one in before[name])
        return phases[name] in _FAILED

    return "Failed" if any(failed(name) for name in last) else "Succeeded"


# -- retries -----------------------------------------------------------------------------------------------------------


def again(expression: str, code: int, number: int, *, status: str = "Failed", message: str = "") -> bool:
    """Whether a pod is tried again after its try `number`, by a retry strategy's expression."""
    facts = {"lastRetry.status": status, "lastRetry.exitCode": str(code), "lastRetry.message": message}
    return _holds(expression, facts, number)


def _holds(expression: str, facts: Mapping[str, str], number: int) -> bool:
    expression = expression.strip()
    if match := re.fullmatch(r"([^?]+) \? ([^:]+) : \((.+)\)", expression):
        return _holds(match[2] if _holds(match[1], facts, number) else match[3], facts, number)
    if " || " in expression:
        return any(_holds(one, facts, number) for one in expression.split(" || "))
    if expression == "false":
        return False
    if match := re.fullmatch(r"asInt\(retries\) < (\d+)", expression):
        return number < int(match[1])
    if match := re.fullmatch(r"(lastRetry\.\w+) (==|in|contains|matches) (.+)", expression):
        return _compare(facts[match[1]], match[2], match[3])
    raise Unsupported(expression)


def _compare(value: str, operator: str, text: str) -> bool:
    literals = re.findall(r"'([^']*)'", text)
    if operator == "contains":
        return literals[0] in value
    if operator == "matches":
        return re.search(literals[0], value) is not None
    return value in literals
