"""What must hold of every manifest. Each check returns what is wrong, one sentence each; nothing when all is well."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from steps.contract import STEPS

Json = dict[str, Any]
Objects = Sequence[Json]
Check = Callable[[Objects], list[str]]

ROOT = Path(__file__).parents[1]
GITOPS = ROOT / "gitops"
WORKFLOWS = [GITOPS / name for name in ("apps/workflow-access", "apps/workflow-templates", "platform")]
SCHEMAS = sorted((ROOT / "tests/schemas/cluster").glob("*.json"))
FROM_ELSEWHERE = {"Secret": {"geocrop-s3"}}
"""Objects that the platform makes."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LONGEST = 52
_PARAMETER = re.compile(r"workflow\.parameters\.([\w-]+)")
_REFERENCE = re.compile(r"\{\{\s*([^{}=][^{}]*?)\s*\}\}")
_SECRET_NAMES = re.compile(r"secret|password|token|access.?key|credential", re.IGNORECASE)
_STEPS = {command.name: command for command in STEPS}
_KNOWN = ("workflow.name", "workflow.status", "workflow.namespace", "workflow.uid", "pod.name", "retries")


def read_objects(*folders: Path) -> list[Json]:
    """Every object of the manifests below some folders."""
    files = sorted(path for folder in folders for path in folder.rglob("*.yaml") if path.name != "kustomization.yaml")
    return [thing for path in files for thing in yaml.safe_load_all(path.read_text(encoding="utf-8")) if thing]


def templates_of(thing: Json) -> list[Json]:
    """The templates of a workflow kind."""
    return list(_spec(thing).get("templates", []))


def _spec(thing: Json) -> Json:
    spec = thing.get("spec", {})
    return dict(spec.get("workflowSpec", spec)) if isinstance(spec, dict) else {}


def _workflows(objects: Objects) -> Iterator[tuple[str, Json]]:
    return (
        (f"{thing['kind']} {thing['metadata']['name']}", thing)
        for thing in objects
        if thing["kind"] in {"WorkflowTemplate", "CronWorkflow"}
    )


def _containers(objects: Objects) -> Iterator[tuple[str, Json, Json]]:
    """Where, template and container, of every step."""
    for where, thing in _workflows(objects):
        for template in templates_of(thing):
            if "container" in template:
                yield f"{where}, template {template['name']}", template, template["container"]


def schema(objects: Objects) -> list[str]:
    """Every object fits the strict schema of its kind: no field is misspelt."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS]
    roots = {kind: (document, name) for document in documents for kind, name in document["kinds"].items()}
    wrong = []
    for thing in objects:
        kind = f"{thing['apiVersion']} {thing['kind']}"
        if kind not in roots:
            wrong.append(f"{kind} has no schema here")
            continue
        document, name = roots[kind]
        validator = jsonschema.Draft7Validator({"$ref": f"#/definitions/{name}", **document})
        wrong += [
            f"{kind} {thing['metadata']['name']}: {error.message[:200]}" for error in validator.iter_errors(thing)
        ]
    return wrong


def references(objects: Objects) -> list[str]:
    """Whatever is named exists: template, task, parameter, artifact, account, secret, config map, priority class."""
    return [
        *_dangling_objects(objects),
        *(wrong for where, thing in _workflows(objects) for wrong in _dangling_names(where, thing, objects)),
    ]


_NAMING_FIELDS = {
    "configMapKeyRef": "ConfigMap",
    "secretKeyRef": "Secret",
    "serviceAccountName": "ServiceAccount",
    "priorityClassName": "PriorityClass",
    "workflowTemplateRef": "WorkflowTemplate",
}


def _dangling_objects(objects: Objects) -> Iterator[str]:
    there = {kind: set(names) for kind, names in FROM_ELSEWHERE.items()}
    keys = {thing["metadata"]["name"]: set(thing["data"]) for thing in objects if thing["kind"] == "ConfigMap"}
    for thing in objects:
        there.setdefault(thing["kind"], set()).add(thing["metadata"]["name"])
    for where, value in _walk([thing for _, thing in _workflows(objects)]):
        for field, kind in _NAMING_FIELDS.items():
            named = value.get(field)
            name = named["name"] if isinstance(named, dict) else named
            if name and name not in there.get(kind, set()):
                yield f"{where}: there is no {kind} {name}"
        if (named := value.get("configMapKeyRef")) and named["key"] not in keys.get(named["name"], set()):
            yield f"{where}: ConfigMap {named['name']} has no key {named['key']}"


def _dangling_names(where: str, thing: Json, objects: Objects) -> Iterator[str]:
    spec, templates = _spec(thing), {one["name"]: one for one in templates_of(thing)}
    asked = {one["name"] for one in spec.get("arguments", {}).get("parameters", [])}
    if "workflowTemplateRef" in spec:
        yield from _unasked(where, asked, spec["workflowTemplateRef"]["name"], objects)
        return
    for field in ("entrypoint", "onExit"):
        if field in spec and spec[field] not in templates:
            yield f"{where}: {field} {spec[field]} is no template"
    shown = _PARAMETER.findall(json.dumps(spec.get("workflowMetadata", {})))
    yield from (f"{where}: its workflows are called by {one}, which is no parameter" for one in {*shown} - asked)
    for template in templates.values():
        place = f"{where}, template {template['name']}"
        yield from _unknown_references(place, template, asked, templates)
        for task in template.get("dag", {}).get("tasks", []):
            yield from _wrong_task(f"{place}, task {task['name']}", task, template, templates)


def _unasked(where: str, given: set[str], name: str, objects: Objects) -> Iterator[str]:
    """Arguments that the named WorkflowTemplate does not take."""
    for _, thing in _workflows(objects):
        if thing["kind"] == "WorkflowTemplate" and thing["metadata"]["name"] == name:
            known = {one["name"] for one in _spec(thing)["arguments"]["parameters"]}
            yield from (f"{where}: {name} has no parameter {one}" for one in sorted(given - known))


def _unknown_references(where: str, template: Json, asked: set[str], templates: Mapping[str, Json]) -> Iterator[str]:
    mine = {one["name"] for one in template.get("inputs", {}).get("parameters", [])}
    tasks = {one["name"]: one for one in template.get("dag", {}).get("tasks", [])}
    known = {*_KNOWN, "item"}
    known |= {f"workflow.parameters.{one}" for one in asked} | {f"inputs.parameters.{one}" for one in mine}
    for name, task in tasks.items():
        made = templates.get(task["template"], {}).get("outputs", {})
        known |= {f"tasks.{name}.outputs.parameters.{one['name']}" for one in made.get("parameters", [])}
        known |= {f"tasks.{name}.outputs.artifacts.{one['name']}" for one in made.get("artifacts", [])}
    for reference in _REFERENCE.findall(json.dumps(template)):
        if reference not in known and not reference.startswith("item."):
            yield f"{where}: nothing is called {reference}"


def _wrong_task(where: str, task: Json, graph: Json, templates: Mapping[str, Json]) -> Iterator[str]:
    tasks = {one["name"] for one in graph["dag"]["tasks"]}
    for name in re.findall(r"([\w-]+)(?:\.\w+)?", task.get("depends", "")):
        if name not in tasks:
            yield f"{where}: depends on {name}, which is no task"
    called = templates.get(task["template"])
    if called is None:
        yield f"{where}: there is no template {task['template']}"
        return
    given = {one["name"] for one in task.get("arguments", {}).get("parameters", [])}
    wanted = {one["name"] for one in called.get("inputs", {}).get("parameters", [])}
    if given != wanted:
        yield f"{where}: gives {sorted(given)}, {task['template']} takes {sorted(wanted)}"


def _walk(value: Any, where: str = "") -> Iterator[tuple[str, Json]]:
    """Every mapping in a document, with where it is."""
    if isinstance(value, list):
        for one in value:
            name = one.get("metadata", one).get("name", "") if isinstance(one, dict) else ""
            yield from _walk(one, f"{where} {name}".strip())
    elif isinstance(value, dict):
        yield where, value
        for one in value.values():
            yield from _walk(one, where)


def contract(objects: Objects) -> list[str]:
    """Every step of the contract runs somewhere, with exactly its parameters and none but its outputs."""
    wrong, used = [], set()
    for where, template, container in _containers(objects):
        step = container["args"][1] if container["args"][:1] == ["step"] else ""
        if container["command"] != ["geocrop"] or step not in _STEPS:
            wrong.append(f"{where} runs no step of the contract")
            continue
        used.add(step)
        wrong += _wrong_arguments(where, container["args"][2:], step)
        wrong += _wrong_outputs(where, template, step)
    return [*wrong, *(f"step {name} is used by no template" for name in sorted(_STEPS.keys() - used))]


def _wrong_arguments(where: str, arguments: Sequence[str], step: str) -> Iterator[str]:
    given = [argument.partition("=")[0].removeprefix("--") for argument in arguments if "=" in argument]
    wanted = [parameter.name for parameter in _STEPS[step].parameters]
    if sorted(given) != sorted(wanted) or len(given) != len(arguments):
        yield f"{where}: gives {sorted(given)}, step {step} takes {sorted(wanted)}"


def _wrong_outputs(where: str, template: Json, step: str) -> Iterator[str]:
    known = {output.name: output.file.rstrip("/") for output in _STEPS[step].outputs}
    outputs = template.get("outputs", {})
    for output in [*outputs.get("parameters", []), *outputs.get("artifacts", [])]:
        path = output.get("path") or output["valueFrom"]["path"]
        if not path.endswith(f"/{known.get(output['name'], '?')}"):
            yield f"{where}: step {step} leaves no {output['name']} in {path}"


def secrets(objects: Objects) -> list[str]:
    """No secret is written down: environment by reference only, no parameter that would carry one, no Secret."""
    wrong = [f"Secret {thing['metadata']['name']} is in git" for thing in objects if thing["kind"] == "Secret"]
    for where, _, container in _containers(objects):
        wrong += [f"{where}: {one['name']} has a value" for one in container.get("env", []) if _is_written_down(one)]
    for where, thing in _workflows(objects):
        asked = _spec(thing).get("arguments", {}).get("parameters", [])
        wrong += [f"{where}: parameter {one['name']}" for one in asked if _SECRET_NAMES.search(one["name"])]
    return wrong


def _is_written_down(variable: Json) -> bool:
    return bool(_SECRET_NAMES.search(variable["name"])) and "secretKeyRef" not in variable.get("valueFrom", {})


def limits(objects: Objects) -> list[str]:
    """Every container, Argo's included, has requests and a memory limit; every disk a size; every pod a deadline."""
    wrong = []
    for where, template, container in _containers(objects):
        if not _is_bounded(container.get("resources", {})):
            wrong.append(f"{where}: main has no bounds")
        if "activeDeadlineSeconds" not in template:
            wrong.append(f"{where}: no deadline")
        wrong += [
            f"{where}: volume {volume['name']} has no size"
            for volume in template.get("volumes", [])
            if not volume.get("emptyDir", {}).get("sizeLimit")
        ]
    for where, thing in _workflows(objects):
        if thing["kind"] == "WorkflowTemplate":
            wrong += _unbounded_workflow(where, _spec(thing))
    return wrong


def _is_bounded(resources: Json) -> bool:
    requests, most = resources.get("requests", {}), resources.get("limits", {})
    return {"cpu", "memory"} <= requests.keys() and "memory" in most and "cpu" not in most


def _unbounded_workflow(where: str, spec: Json) -> Iterator[str]:
    patch = json.loads(spec.get("podSpecPatch", "{}"))
    beside = {one["name"]: one for one in (*patch.get("initContainers", []), *patch.get("containers", []))}
    for name in ("init", "wait"):
        if not _is_bounded(beside.get(name, {}).get("resources", {})):
            yield f"{where}: {name} has no bounds"
    for field in ("activeDeadlineSeconds", "ttlStrategy", "podGC", "parallelism", "archiveLogs"):
        if not spec.get(field):
            yield f"{where}: no {field}"


def security(objects: Objects) -> list[str]:
    """Every pod is as the restricted standard asks, its root cannot be written, and no step has a token."""
    wrong = []
    for where, template, container in _containers(objects):
        pod, own = template.get("securityContext", {}), container.get("securityContext", {})
        if not (pod.get("runAsNonRoot") and pod.get("runAsUser") and pod.get("seccompProfile")):
            wrong.append(f"{where}: the pod is not restricted")
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            wrong.append(f"{where}: the container may gain rights")
        if not own.get("readOnlyRootFilesystem"):
            wrong.append(f"{where}: the root can be written")
        if template.get("serviceAccountName") in {None, "default"}:
            wrong.append(f"{where}: no service account of its own")
    for where, thing in _workflows(objects):
        if thing["kind"] == "WorkflowTemplate" and not _keeps_token(json.loads(_spec(thing).get("podSpecPatch", "{}"))):
            wrong.append(f"{where}: steps have the token of their account")
    return wrong


def _keeps_token(patch: Json) -> bool:
    """Whether Argo's own containers have the token, and no other."""
    beside = {one["name"]: one for one in (*patch.get("initContainers", []), *patch.get("containers", []))}
    mounted = {name for name, one in beside.items() for mount in one["volumeMounts"] if mount["name"] == "token"}
    return patch.get("automountServiceAccountToken") is False and mounted == {"init", "wait"}


def names(objects: Objects) -> list[str]:
    """Names are DNS labels of at most 52 characters, and tell nothing apart by case."""
    found = [thing["metadata"]["name"] for thing in objects]
    found += [one["name"] for _, thing in _workflows(objects) for one in templates_of(thing)]
    return [f"{name} is no name" for name in found if len(name) > LONGEST or not NAME.fullmatch(name)]


def retries(objects: Objects) -> list[str]:
    """Steps are tried again, with a cap and never after bad data; graphs, the entrypoint among them, never are."""
    wrong = []
    for where, thing in _workflows(objects):
        for template in templates_of(thing):
            again = template.get("retryStrategy")
            if "dag" in template and again:
                wrong.append(f"{where}, template {template['name']}: a graph is tried again")
            if "container" in template and not _is_careful(again or {}):
                wrong.append(f"{where}, template {template['name']}: wrong retries")
        if "retryStrategy" in _spec(thing):
            wrong.append(f"{where}: everything is tried again")
    return wrong


def _is_careful(again: Json) -> bool:
    expression, backoff = again.get("expression", ""), again.get("backoff", {})
    return (
        {"duration", "factor", "cap"} <= backoff.keys()
        and all(code in expression for code in ("'75'", "'137'", "'143'", "OOMKilled"))
        and "'65'" not in expression
        and int(again.get("limit", 0)) > 0
    )


def readable(objects: Objects) -> list[str]:
    """Lists of workflows can be read: titles and descriptions, on the template and on what is made of it."""
    wrong = []
    for where, thing in _workflows(objects):
        for field in ("title", "description"):
            key = f"workflows.argoproj.io/{field}"
            if not thing["metadata"].get("annotations", {}).get(key):
                wrong.append(f"{where} has no {field}")
        spec = _spec(thing)
        if thing["kind"] == "WorkflowTemplate":
            wrong += [
                f"{where}: parameter {one['name']} has no description or default"
                for one in spec["arguments"]["parameters"]
                if not one.get("description")
                or "value" not in one
                or one.get("enum", [one["value"]]).count(one["value"]) != 1
            ]
            if not spec.get("workflowMetadata", {}).get("labels"):
                wrong.append(f"{where}: its workflows have no labels")
    return wrong


CHECKS: tuple[Check, ...] = (schema, references, contract, secrets, limits, security, names, retries, readable)
