"""What the templates are made of; the one place that speaks Hera.

A step of the contract becomes a template of the same name whose arguments are exactly the step's parameters. Everything
that all pods share is here: their security, disks, settings, retries and clean-up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hera.workflows import CronWorkflow, WorkflowTemplate
from hera.workflows import models as m

from steps.contract import STEPS, Command, Parameter
from workflows import values

WORK, SCRATCH = "/pod", "/tmp"  # noqa: S108 - a volume of the pod
FILES = "workflows/{{workflow.name}}"
"""Where a workflow keeps its own files in the bucket."""
USER = 65532
STEPS_ACCOUNT = "geocrop-steps"
TILE_PRIORITY, STEP_PRIORITY = "geocrop-tiles", "geocrop-steps"
LIMITS = "geocrop-limits"
_LOST = "(?i)evict|preempt|shutdown|node.*(lost|not ready)|pod (was )?deleted|pod not found|starterror"
"""What Argo says of a pod that its infrastructure took away, or could not start as the kubelet went down."""
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where Kubernetes puts it
_HOUR = 3600

Built = WorkflowTemplate | CronWorkflow
Template = m.Template
AskedParameter = m.Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What the pods of a step are given."""

    memory: str
    cpu: str
    memory_again: str = ""
    """For another try; empty: the same."""
    priority: str = STEP_PRIORITY
    hours: int = 2
    """Deadline of one try."""
    tries: int = 3


def role(name: str, **more: Any) -> Role:
    """The role whose memory and CPU the values name."""
    return Role(memory=values.text("memory", name), cpu=values.text("cpu", name), **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIn:
    """A file that a step's pod finds, by a key of the bucket or with its content."""

    name: str
    file: str = ""
    """Its name in the pod, where that is another."""
    key: str = ""
    content: str = ""
    optional: bool = False

    @property
    def path(self) -> str:
        """Where it lies in the pod."""
        return f"{WORK}/in/{self.file or self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOut:
    """A file that a step leaves: kept under a key of the bucket, or read as a parameter."""

    name: str
    key: str = ""


def path_out(name: str = "") -> str:
    """Where a step leaves a file in its pod."""
    return f"{WORK}/out/{name}".rstrip("/")


def asked(name: str) -> str:
    """A parameter of the workflow."""
    return f"{{{{workflow.parameters.{name}}}}}"


def given(name: str) -> str:
    """A parameter of the template."""
    return f"{{{{inputs.parameters.{name}}}}}"


def contract_of(step: str) -> Command:
    """A step's entry. Raises KeyError for a step that is not in the contract."""
    return {command.name: command for command in STEPS}[step]


# -- steps ---------------------------------------------------------------------------------------------------------


def step(  # noqa: PLR0913 - a pod has many sides
    name: str,
    arguments: Mapping[str, str],
    role: Role,
    *,
    inputs: Sequence[str] = (),
    files: Sequence[FileIn] = (),
    outputs: Sequence[FileOut] = (),
    semaphore: str = "",
) -> m.Template:
    """The template that runs a step of the contract."""
    command = contract_of(name)
    return m.Template(
        name=name,
        metadata=m.Metadata(labels={"geocrop.io/step": name}),
        inputs=_inputs(inputs, files),
        outputs=_outputs(command, outputs),
        container=_container(command, arguments, role),
        volumes=_volumes(),
        service_account_name=STEPS_ACCOUNT,
        security_context=_pod_security(),
        active_deadline_seconds=m.IntOrString(root=str(role.hours * _HOUR)),
        priority_class_name=role.priority,
        retry_strategy=_retry(role),
        pod_spec_patch=_more_memory(role) if role.memory_again else None,
        synchronization=_locks(semaphore),
    )


def _inputs(names: Sequence[str], files: Sequence[FileIn]) -> m.Inputs | None:
    if not (names or files):
        return None
    return m.Inputs(
        parameters=[m.Parameter(name=name) for name in names] or None,
        artifacts=[_file_in(one) for one in files] or None,
    )


def _file_in(file: FileIn) -> m.Artifact:
    if file.key:
        return m.Artifact(name=file.name, path=file.path, s3=m.S3Artifact(key=file.key), optional=file.optional or None)
    return m.Artifact(name=file.name, path=file.path, raw=m.RawArtifact(data=file.content))


def _outputs(command: Command, wanted: Sequence[FileOut]) -> m.Outputs | None:
    files = {output.name: output.file for output in command.outputs}
    kept = [_kept(one, files[one.name]) for one in wanted if one.key]
    read = [
        m.Parameter(name=one.name, value_from=m.ValueFrom(path=path_out(files[one.name])))
        for one in wanted
        if not one.key
    ]
    return m.Outputs(parameters=read or None, artifacts=kept or None) if wanted else None


def _kept(file: FileOut, place: str) -> m.Artifact:
    return m.Artifact(
        name=file.name,
        path=path_out(place),
        s3=m.S3Artifact(key=file.key),
        archive=m.ArchiveStrategy(none=m.NoneStrategy()),
    )


def _container(command: Command, arguments: Mapping[str, str], role: Role) -> m.Container:
    return m.Container(
        image=values.text("image", "name"),
        image_pull_policy=values.text("image", "pull"),
        command=["geocrop"],
        args=["step", command.name, *(_flag(parameter, arguments) for parameter in command.parameters)],
        env=_environment(),
        resources=m.ResourceRequirements(
            requests={"cpu": _quantity(role.cpu), "memory": _quantity(role.memory)},
            limits={"memory": _quantity(role.memory)},
        ),
        security_context=m.SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            run_as_non_root=True,
            capabilities=m.Capabilities(drop=["ALL"]),
        ),
        volume_mounts=[m.VolumeMount(name="work", mount_path=WORK), m.VolumeMount(name="scratch", mount_path=SCRATCH)],
    )


def _quantity(text: str) -> m.Quantity:
    return m.Quantity(root=text)


def _flag(parameter: Parameter, arguments: Mapping[str, str]) -> str:
    """`--name=value`, so that no value can be taken for another flag. Raises KeyError for one that was forgotten."""
    return f"--{parameter.name}={arguments[parameter.name]}"


def _environment() -> list[m.EnvVar]:
    settings, secret = values.text("store", "settings"), values.text("store", "secret")
    return [
        _setting("GEOCROP_S3_ENDPOINT", settings, "s3-endpoint"),
        _setting("GEOCROP_S3_SECURE", settings, "s3-secure"),
        _setting("GEOCROP_SOURCES", settings, "sources"),
        _setting("GEOCROP_MAX_AOI_KM2", settings, "max-aoi-km2"),
        _setting("MLFLOW_TRACKING_URI", settings, "mlflow-uri"),
        _secret("GEOCROP_S3_ACCESS_KEY", secret, "access-key"),
        _secret("GEOCROP_S3_SECRET_KEY", secret, "secret-key"),
        m.EnvVar(name="GEOCROP_CACHE_MB", value="2000"),
    ]


def _setting(name: str, config_map: str, key: str) -> m.EnvVar:
    return m.EnvVar(
        name=name, value_from=m.EnvVarSource(config_map_key_ref=m.ConfigMapKeySelector(name=config_map, key=key))
    )


def _secret(name: str, secret: str, key: str) -> m.EnvVar:
    reference = m.SecretKeySelector(name=secret, key=key)
    return m.EnvVar(name=name, value_from=m.EnvVarSource(secret_key_ref=reference))


def _volumes() -> list[m.Volume]:
    return [
        m.Volume(name=name, empty_dir=m.EmptyDirVolumeSource(size_limit=_quantity(values.text("disk", name))))
        for name in ("work", "scratch")
    ]


def _pod_security() -> m.PodSecurityContext:
    return m.PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        seccomp_profile=m.SeccompProfile(type="RuntimeDefault"),
    )


def _retry(role: Role) -> m.RetryStrategy:
    """Again after errors of Argo's, exit 75 and deaths of infrastructure; once after one for memory; never after 65."""
    again = (
        f"lastRetry.status == 'Error' || lastRetry.exitCode in ['75', '137', '143'] "
        f"|| lastRetry.message matches '{_LOST}'"
    )
    memory = "asInt(retries) < 1" if role.memory_again else "false"
    return m.RetryStrategy(
        limit=m.IntOrString(root=str(role.tries)),
        retry_policy="Always",
        expression=f"lastRetry.message contains 'OOMKilled' ? {memory} : ({again})",
        backoff=m.Backoff(duration="5s", factor=m.IntOrString(root="2"), cap="5m"),
    )


def _more_memory(role: Role) -> str:
    """A patch of the pod: the first try has the usual memory, every other one more."""
    memory = f"{{{{= asInt(retries) < 1 ? '{role.memory}' : '{role.memory_again}' }}}}"
    resources = f'{{"requests": {{"memory": "{memory}"}}, "limits": {{"memory": "{memory}"}}}}'
    return f'{{"containers": [{{"name": "main", "resources": {resources}}}]}}'


def _locks(semaphore: str = "", mutex: str = "") -> m.Synchronization | None:
    """By a key of the ConfigMap of limits, and by name."""
    if not semaphore and not mutex:
        return None
    key = m.ConfigMapKeySelector(name=LIMITS, key=semaphore)
    return m.Synchronization(
        semaphores=[m.SemaphoreRef(config_map_key_ref=key)] if semaphore else None,
        mutexes=[m.Mutex(name=mutex)] if mutex else None,
    )


# -- graphs --------------------------------------------------------------------------------------------------------


def task(
    name: str,
    template: str = "",
    *,
    depends: str = "",
    arguments: Mapping[str, str] | None = None,
    each: str = "",
    count: str = "",
) -> m.DAGTask:
    """A task of a graph: once, for each item of a JSON array, or a number of times."""
    parameters = [m.Parameter(name=key, value=value) for key, value in (arguments or {}).items()]
    return m.DAGTask(
        name=name,
        template=template or name,
        depends=depends or None,
        arguments=m.Arguments(parameters=parameters) if parameters else None,
        with_param=each or None,
        with_sequence=m.Sequence(count=m.IntOrString(root=count)) if count else None,
    )


def graph(
    name: str, tasks: Sequence[m.DAGTask], *, inputs: Sequence[str] = (), mutex: str = "", semaphore: str = ""
) -> m.Template:
    """A template of tasks; one that fails does not keep the others from being done.

    A mutex stands beside a semaphore where another template of the workflow has one: Argo 4.1 cannot retry it else
    (docs/decisions/0034).
    """
    return m.Template(
        name=name,
        inputs=_inputs(inputs, ()),
        dag=m.DAGTemplate(tasks=list(tasks), fail_fast=False),
        synchronization=_locks(semaphore, mutex),
    )


# -- workflows -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What people read of a workflow."""

    title: str
    description: str
    title_of_run: str = ""
    """Of a workflow that is made of it, with its parameters; default: the same."""
    description_of_run: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        """As Argo's UI reads them."""
        return _read_by_people(self.title, self.description)

    @property
    def annotations_of_run(self) -> dict[str, str]:
        """Of a workflow that is made of it."""
        return _read_by_people(self.title_of_run or self.title, self.description_of_run or self.description)


def _read_by_people(title: str, description: str) -> dict[str, str]:
    return {"workflows.argoproj.io/title": title, "workflows.argoproj.io/description": description}


def parameter(step: str, name: str, **changes: Any) -> m.Parameter:
    """A parameter of a workflow, as the step's contract describes it: with its default, and its choices as an enum."""
    entry = next(one for one in contract_of(step).parameters if one.name == name)
    choices = ["true", "false"] if entry.kind == "switch" else list(entry.choices)
    fields = {
        "name": name,
        "description": entry.help,
        "value": "" if entry.default is None else f"{entry.default}",
        "enum": choices or None,
    }
    return m.Parameter(**(fields | changes))


def workflow_template(
    name: str, about: About, parameters: Sequence[m.Parameter], templates: Sequence[m.Template], *, on_exit: str = ""
) -> WorkflowTemplate:
    """A WorkflowTemplate; its first template is the entrypoint, which is never tried again."""
    return WorkflowTemplate(
        name=name,
        labels=_labels(name),
        annotations=about.annotations,
        entrypoint=templates[0].name,
        on_exit=on_exit or None,
        arguments=m.Arguments(parameters=list(parameters)),
        templates=list(templates),
        workflow_metadata=m.WorkflowMetadata(labels=_labels(name), annotations=about.annotations_of_run),
        **_shared(),
    )


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "geocrop", "geocrop.io/workflow": name}


def _shared() -> dict[str, Any]:
    """What all workflows have: an account, bounds, clean-up and logs that outlive their pods."""
    return {
        "service_account_name": STEPS_ACCOUNT,
        "parallelism": values.number("slots", "pods"),
        "active_deadline_seconds": 7 * 24 * _HOUR,
        "archive_logs": True,
        "pod_spec_patch": json.dumps(_executor(), indent=1),
        "pod_gc": m.PodGC(strategy="OnPodSuccess", delete_delay_duration="60s"),
        "ttl_strategy": m.TTLStrategy(
            seconds_after_success=values.number("keep", "success-seconds"),
            seconds_after_failure=values.number("keep", "failure-seconds"),
        ),
    }


def _executor() -> dict[str, Any]:
    """Argo's own containers beside a step, bounded and restricted as it is, whatever the controller is set to.

    They alone get a token of the pod's account: the step itself has nothing to ask of Kubernetes.
    """
    memory = {"memory": values.text("memory", "executor")}
    bounds = {
        "resources": {"requests": {"cpu": values.text("cpu", "executor"), **memory}, "limits": memory},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "token", "mountPath": _TOKEN, "readOnly": True}],
    }
    return {
        "automountServiceAccountToken": False,
        "volumes": [{"name": "token", "projected": {"sources": _token_sources()}}],
        "initContainers": [{"name": "init", **bounds}],
        "containers": [{"name": "wait", **bounds}],
    }


def _token_sources() -> list[dict[str, Any]]:
    """As Kubernetes itself would mount them: a token that runs out, the API server's certificate, the namespace."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]


def cron_workflow(
    name: str,
    about: About,
    schedule: str,
    template: str,
    arguments: Mapping[str, str],
    *,
    suspended: bool = False,
) -> CronWorkflow:
    """A WorkflowTemplate by the clock, never twice at once."""
    parameters = [m.Parameter(name=key, value=value) for key, value in arguments.items()]
    return CronWorkflow(
        name=name,
        labels=_labels(name),
        annotations=about.annotations,
        schedules=[schedule],
        timezone="Etc/UTC",
        concurrency_policy="Forbid",
        starting_deadline_seconds=_HOUR,
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=3,
        cron_suspend=suspended or None,
        workflow_template_ref=m.WorkflowTemplateRef(name=template),
        arguments=m.Arguments(parameters=parameters) if parameters else None,
        workflow_metadata=m.WorkflowMetadata(labels=_labels(name), annotations=about.annotations),
    )
