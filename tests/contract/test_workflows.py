"""The manifests: as rendered, and as they must be. Every check is shown to fail."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import manifest_checks as checks
from workflows.__main__ import FOLDER, check, main, write
from workflows.manifests import BUILDERS, manifests

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def objects() -> list[checks.Json]:
    """Every object that Argo CD would apply for the workflows."""
    return checks.read_objects(*checks.WORKFLOWS)


def test_the_committed_manifests_are_the_rendered_ones() -> None:
    """`./task render` would change nothing."""
    assert check(FOLDER) == 0


def test_rendering_twice_gives_the_same_bytes() -> None:
    """Nothing of the time or of hashing is in them."""
    assert manifests() == manifests()


def test_a_stale_manifest_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was edited, one that is missing and one too many are each told."""
    write(tmp_path)
    (tmp_path / "map-aoi.yaml").write_text("kind: Edited\n", encoding="utf-8")
    (tmp_path / "train-model.yaml").unlink()
    (tmp_path / "extra.yaml").write_text("kind: Extra\n", encoding="utf-8")
    assert check(tmp_path) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("map-aoi.yaml", "train-model.yaml", "extra.yaml"))
    write(tmp_path)
    assert check(tmp_path) == 0


def test_render_is_a_command() -> None:
    """`python -m workflows render --check` compares."""
    assert main(["render", "--check"]) == 0


def test_every_manifest_is_listed() -> None:
    """Argo CD finds all of them through the kustomization."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == sorted(BUILDERS)


@pytest.mark.parametrize("one", checks.CHECKS, ids=lambda one: one.__name__)
def test_the_manifests_pass(objects: list[checks.Json], one: checks.Check) -> None:
    """Nothing is wrong with any of them."""
    assert one(objects) == []


def mapping(things: list[checks.Json]) -> checks.Json:
    """The WorkflowTemplate of maps."""
    return next(thing for thing in things if thing["metadata"]["name"] == "map-aoi")


def template(thing: checks.Json, name: str) -> checks.Json:
    """One of its templates."""
    return next(one for one in thing["spec"]["templates"] if one["name"] == name)


def classify(thing: checks.Json) -> checks.Json:
    """The template of tiles."""
    return template(thing, "classify")


def pod(thing: checks.Json) -> checks.Json:
    """Its container."""
    return dict_of(classify(thing)["container"])


def dict_of(value: Any) -> checks.Json:
    """The very mapping."""
    assert isinstance(value, dict)
    return value


def args(thing: checks.Json) -> list[str]:
    """Its arguments."""
    return list_of(pod(thing)["args"])


def env(thing: checks.Json) -> list[Any]:
    """Its environment."""
    return list_of(pod(thing)["env"])


def list_of(value: Any) -> list[Any]:
    """The very list."""
    assert isinstance(value, list)
    return value


def secret(thing: checks.Json) -> checks.Json:
    """The reference of a secret."""
    return next(dict_of(one["valueFrom"]["secretKeyRef"]) for one in env(thing) if one["name"].endswith("SECRET_KEY"))


def setting(thing: checks.Json) -> checks.Json:
    """The reference of a setting."""
    return dict_of(env(thing)[0]["valueFrom"]["configMapKeyRef"])


def tasks(thing: checks.Json) -> list[Any]:
    """The tasks of the entrypoint."""
    return list_of(template(thing, "map")["dag"]["tasks"])


def asked(thing: checks.Json) -> list[Any]:
    """The workflow's parameters."""
    return list_of(thing["spec"]["arguments"]["parameters"])


def titles(thing: checks.Json) -> checks.Json:
    """What is read of a workflow that is made of it."""
    return dict_of(thing["spec"]["workflowMetadata"]["annotations"])


def give_token(thing: checks.Json) -> None:
    patch = json.loads(thing["spec"]["podSpecPatch"])
    patch["containers"].append({"name": "main", "volumeMounts": patch["containers"][0]["volumeMounts"]})
    thing["spec"]["podSpecPatch"] = json.dumps(patch)


def rename_task(thing: checks.Json) -> None:
    tasks(thing)[1]["depends"] = "planned"


def forget_batch(thing: checks.Json) -> None:
    template(thing, "group")["dag"]["tasks"][0]["arguments"]["parameters"].pop()


def move_output(thing: checks.Json) -> None:
    template(thing, "gate")["outputs"]["artifacts"][0].update(path="/tmp/x")  # noqa: S108


def retry_bad_data(thing: checks.Json) -> None:
    classify(thing)["retryStrategy"].update(expression="'65' '75' '137' '143' OOMKilled")


MUTATIONS: list[tuple[str, checks.Check, Change]] = [
    ("misspelt field", checks.schema, lambda it: classify(it).update(retryStrategi={})),
    ("misspelt deep field", checks.schema, lambda it: pod(it).update(imagePulPolicy="Never")),
    ("wrong type", checks.schema, lambda it: it["spec"].update(parallelism="four")),
    ("unknown kind", checks.schema, lambda it: it.update(kind="WorkflowTemplat")),
    ("no such template", checks.references, lambda it: tasks(it)[0].update(template="plann")),
    ("no such task", checks.references, rename_task),
    ("argument forgotten", checks.references, forget_batch),
    ("no such entrypoint", checks.references, lambda it: it["spec"].update(entrypoint="mapp")),
    ("no such exit handler", checks.references, lambda it: it["spec"].update(onExit="settel")),
    ("no such parameter", checks.references, lambda it: args(it).append("{{inputs.parameters.x}}")),
    ("no such parameter shown", checks.references, lambda it: titles(it).update(x="{{workflow.parameters.x}}")),
    ("no such output", checks.references, lambda it: template(it, "plan")["outputs"]["parameters"].pop()),
    ("no such artifact", checks.references, lambda it: tasks(it)[1].update(when="{{tasks.plan.outputs.artifacts.x}}")),
    ("no such secret", checks.references, lambda it: secret(it).update(name="x")),
    ("no such config map", checks.references, lambda it: setting(it).update(name="x")),
    ("no such key", checks.references, lambda it: setting(it).update(key="x")),
    ("no such account", checks.references, lambda it: classify(it).update(serviceAccountName="x")),
    ("no such priority", checks.references, lambda it: classify(it).update(priorityClassName="x")),
    ("argument missing", checks.contract, lambda it: args(it).pop()),
    ("argument too many", checks.contract, lambda it: args(it).append("--verbose=1")),
    ("argument twice", checks.contract, lambda it: args(it).append("--jitter=1")),
    ("argument apart", checks.contract, lambda it: args(it).append("--jitter")),
    ("no step", checks.contract, lambda it: pod(it).update(args=["run"])),
    ("another program", checks.contract, lambda it: pod(it).update(command=["sh"])),
    ("step unused", checks.contract, lambda it: it["spec"]["templates"].remove(template(it, "mosaic"))),
    ("no such file", checks.contract, move_output),
    ("secret as value", checks.secrets, lambda it: env(it).append({"name": "S3_SECRET", "value": "x"})),
    ("secret as parameter", checks.secrets, lambda it: asked(it).append({"name": "db-password"})),
    ("secret from config", checks.secrets, lambda it: env(it)[5].update(valueFrom={"configMapKeyRef": {}})),
    ("no memory limit", checks.limits, lambda it: pod(it)["resources"].pop("limits")),
    ("a CPU limit", checks.limits, lambda it: pod(it)["resources"]["limits"].update(cpu="1")),
    ("no requests", checks.limits, lambda it: pod(it)["resources"].pop("requests")),
    ("executor unbounded", checks.limits, lambda it: it["spec"].pop("podSpecPatch")),
    ("disk without size", checks.limits, lambda it: classify(it)["volumes"][0].update(emptyDir={})),
    ("no deadline", checks.limits, lambda it: classify(it).pop("activeDeadlineSeconds")),
    ("kept for ever", checks.limits, lambda it: it["spec"].pop("ttlStrategy")),
    ("as root", checks.security, lambda it: classify(it)["securityContext"].pop("runAsNonRoot")),
    ("no seccomp", checks.security, lambda it: classify(it)["securityContext"].pop("seccompProfile")),
    ("capabilities", checks.security, lambda it: pod(it)["securityContext"].pop("capabilities")),
    ("writable root", checks.security, lambda it: pod(it)["securityContext"].pop("readOnlyRootFilesystem")),
    ("default account", checks.security, lambda it: classify(it).update(serviceAccountName="default")),
    ("token for all", checks.security, lambda it: it["spec"].update(podSpecPatch="{}")),
    ("token for the step", checks.security, give_token),
    ("name too long", checks.names, lambda it: it["metadata"].update(name="m" * 53)),
    ("name in capitals", checks.names, lambda it: classify(it).update(name="Classify")),
    ("entrypoint again", checks.retries, lambda it: template(it, "map").update(retryStrategy={"limit": "3"})),
    ("workflow again", checks.retries, lambda it: it["spec"].update(retryStrategy={"limit": "3"})),
    ("bad data again", checks.retries, retry_bad_data),
    ("never again", checks.retries, lambda it: classify(it).pop("retryStrategy")),
    ("no cap", checks.retries, lambda it: classify(it)["retryStrategy"]["backoff"].pop("cap")),
    ("no title", checks.readable, lambda it: it["metadata"]["annotations"].pop("workflows.argoproj.io/title")),
    ("no description", checks.readable, lambda it: asked(it)[0].pop("description")),
    ("default not offered", checks.readable, lambda it: asked(it)[8].update(value="maybe")),
    ("no labels", checks.readable, lambda it: it["spec"]["workflowMetadata"].pop("labels")),
]  # fmt: skip


@pytest.mark.parametrize(("one", "change"), [pytest.param(*rest, id=name) for name, *rest in MUTATIONS])
def test_a_mistake_is_found(objects: list[checks.Json], one: checks.Check, change: Change) -> None:
    """The check for it fails on a manifest with the mistake."""
    changed = copy.deepcopy(objects)
    change(mapping(changed))
    assert one(changed) != []


def test_a_secret_in_git_is_found(objects: list[checks.Json]) -> None:
    """Also as an object of its own."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    assert checks.secrets([*objects, secret]) != []


def test_every_check_has_a_mistake() -> None:
    """No check is without a test that it can fail."""
    assert {one for _, one, _ in MUTATIONS} == set(checks.CHECKS)


@pytest.mark.skipif(shutil.which("argo") is None, reason="the argo command is not here")
def test_argo_finds_nothing_wrong() -> None:
    """`argo lint --offline` agrees."""
    command = ["argo", "lint", "--offline", "--kinds=workflowtemplates,cronworkflows", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
