"""`spec.podTemplate`: merged into the pod last, and refused where that would break a promise.

Whatever else it says is the user's, also what takes the pod out of the restricted Pod Security level (hostNetwork,
capabilities): the admission of the namespace decides that. automountServiceAccountToken may be true, because identities
of clouds need the token of a service account that the user chose; the operator itself asks for none.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import Guard, RerankServiceSpec
from rerank_operator.api.v1alpha1.volumes import CLOSED_PATHS
from rerank_operator.engine import command
from rerank_operator.resources.merge import MERGE_KEYS, merge

Object = Mapping[str, Any]

_FINDS_PODS: Final = "the operator finds its pods by this label; choose another one"
_COMES_BACK: Final = "a container that ended has to come back without the operator; remove it"
_IN_FLIGHT: Final = "requests in flight would be lost when a pod stops"
_LAST_WORDS: Final = "the operator reads from there why a container failed; remove it"
# Fields of the engine container.
_ENGINE_FIELDS: Final = {
    "command": "the operator writes the command line of vLLM; use engine.args for further arguments",
    "args": "the operator writes the command line of vLLM; use engine.args for further arguments",
    "image": "the operator picks arguments for the version in the image; use engine.image",
    "startupProbe": "no pod may serve before it has ranked; use rollout.startupTimeoutSeconds to give it more time",
    "readinessProbe": "no pod may serve that does not rank; remove it",
    "livenessProbe": "an engine that only is busy must not be killed; remove it",
    "lifecycle": f"{_IN_FLIGHT}; remove it",
    "restartPolicy": _COMES_BACK,
    "restartPolicyRules": _COMES_BACK,
    "terminationMessagePath": _LAST_WORDS,
    "terminationMessagePolicy": _LAST_WORDS,
}
# Fields of our init containers.
_STEP_FIELDS: Final = {
    "command": "the operator says how a model is fetched and checked; use model.source",
    "args": "the operator says how a model is fetched and checked; use model.source",
    "restartPolicy": "the engine must not start before the model is complete; remove it",
    "restartPolicyRules": "the engine must not start before the model is complete; remove it",
    "terminationMessagePath": _LAST_WORDS,
    "terminationMessagePolicy": _LAST_WORDS,
}
# Containers of ours, by the list of the pod that they are in.
_OURS: Final = {
    "containers": {names.ENGINE_CONTAINER: _ENGINE_FIELDS},
    "initContainers": {names.FETCH_CONTAINER: _STEP_FIELDS, names.CHECK_CONTAINER: _STEP_FIELDS},
}
# tmp, home and shm may become larger, or another kind of volume; what is in these is read or written by us.
_OUR_VOLUMES: Final = re.compile("files|run|keys|ca|model")
_CLOSED_PATHS: Final = re.compile(CLOSED_PATHS)
# Values that weaken a security context; None removes ours.
_WEAKER: Final[Mapping[str, tuple[Any, ...]]] = {
    "privileged": (True,),
    "allowPrivilegeEscalation": (True, None),
    "runAsNonRoot": (False, None),
    "runAsUser": (0,),
}


def merge_pod_template(template: dict[str, Any], spec: RerankServiceSpec) -> dict[str, Any]:
    """Our pod template, overlaid with the user's; our labels stay. Only for a spec that has no refusals."""
    if spec.pod_template is None:
        return template
    merged: dict[str, Any] = merge(template, spec.pod_template.model_dump(exclude_none=True))
    merged["metadata"]["labels"] |= template["metadata"]["labels"]
    return merged


def template_refusals(spec: RerankServiceSpec) -> list[str]:
    """Why `spec.podTemplate` cannot be merged: a sentence each, with field, value, reason and remedy; [] where it can.

    Where something has the wrong shape, only that is told: the rest cannot be read then.
    """
    if spec.pod_template is None:
        return []
    metadata, pod = spec.pod_template.metadata or {}, spec.pod_template.spec or {}
    return list(_shapes(metadata, pod)) or [
        *_metadata(metadata),
        *_pod(pod),
        *(told for path, container, fields in _our_containers(pod) for told in _container(path, container, fields)),
        *(told for path, container, _ in _our_containers(pod) for told in _variables(path, container, spec)),
    ]


def _refuse(path: str, value: Any, why: str) -> str:
    """Lists and objects are not shown: they are long, and may hold a secret."""
    shown = repr(value) if isinstance(value, str | int | float) else "set"
    if value is None or isinstance(value, bool):
        shown = {None: "null", True: "true", False: "false"}[value]
    return f"podTemplate.{path} is {shown}: {why}"


def _shapes(metadata: Object, pod: Object) -> Iterator[str]:
    """What cannot be merged. A null would remove what is ours."""
    for field in ("labels", "annotations"):
        if not isinstance(metadata.get(field, {}), Mapping):
            yield _refuse(f"metadata.{field}", metadata[field], "it must be a map, or be left out")
    wrong = [*_lists("spec", pod), *_maps("spec", pod, "securityContext")]
    yield from wrong
    for path, container, _ in () if wrong else _our_containers(pod):
        yield from _lists(path, container)
        yield from _maps(path, container, "securityContext", "resources")


def _lists(path: str, holder: Object) -> Iterator[str]:
    for field, key in MERGE_KEYS.items():
        items = holder.get(field, [])
        if not (
            isinstance(items, list)
            and all(isinstance(item, Mapping) and isinstance(item.get(key), str | int) for item in items)
        ):
            yield _refuse(f"{path}.{field}", items, f"it must be a list of objects, each with its {key}")


def _maps(path: str, holder: Object, *fields: str) -> Iterator[str]:
    for field in fields:
        found = holder.get(field, {})
        if isinstance(found, Mapping):
            yield from _lists(f"{path}.{field}", found)
        else:
            yield _refuse(f"{path}.{field}", found, "it must be an object, or be left out")


def _our_containers(pod: Object) -> Iterator[tuple[str, Object, Mapping[str, str]]]:
    """What is said of each container of ours: its path, itself, and the fields that are refused in it."""
    for field, ours in _OURS.items():
        for container in pod.get(field, []):
            if container["name"] in ours:
                yield f"spec.{field}[{container['name']}]", container, ours[container["name"]]


def _metadata(metadata: Object) -> Iterator[str]:
    for field, value in metadata.items():
        if field not in ("labels", "annotations"):
            why = "only labels and annotations are merged, since a finalizer would outlive the operator; remove it"
            yield _refuse(f"metadata.{field}", value, why)
    own = names.revision_labels("", "")
    for label, value in metadata.get("labels", {}).items():
        if label in own or label.startswith(f"{names.GROUP}/"):
            yield _refuse(f"metadata.labels[{label}]", value, _FINDS_PODS)


def _pod(pod: Object) -> Iterator[str]:
    if pod.get("restartPolicy", "Always") != "Always":
        yield _refuse("spec.restartPolicy", pod["restartPolicy"], _COMES_BACK)
    grace = pod.get("terminationGracePeriodSeconds", command.GRACE_SECONDS)
    if not isinstance(grace, int) or grace < command.GRACE_SECONDS:
        why = f"{_IN_FLIGHT}; set at least {command.GRACE_SECONDS}, or remove it"
        yield _refuse("spec.terminationGracePeriodSeconds", grace, why)
    yield from _privileges("spec", pod)
    for volume in pod.get("volumes", []):
        if _OUR_VOLUMES.fullmatch(str(volume["name"])):
            why = "this volume of the operator holds what the pod serves or is checked with; choose another name"
            yield _refuse("spec.volumes[].name", volume["name"], why)


def _privileges(path: str, holder: Object) -> Iterator[str]:
    security = holder.get("securityContext", {})
    for field, weaker in _WEAKER.items():
        if field in security and security[field] in weaker:
            why = "code of a model, or a fault in vLLM, could then take over the node; remove it"
            yield _refuse(f"{path}.securityContext.{field}", security[field], why)


def _container(path: str, container: Object, refused: Mapping[str, str]) -> Iterator[str]:
    for field, why in refused.items():
        if field in container:
            yield _refuse(f"{path}.{field}", container[field], why)
    yield from _privileges(path, container)
    for port in container.get("ports", []):
        if port["containerPort"] == names.ENGINE_PORT or port.get("name") == "http":
            why = "the Service and the probes use this port; use service.port for the one that callers see"
            yield _refuse(f"{path}.ports[{port['containerPort']}]", port, why)
    for mount in container.get("volumeMounts", []):
        if _OUR_VOLUMES.fullmatch(str(mount.get("name", ""))):
            why = "this volume of the operator is mounted where it is read; mount one of your own"
            yield _refuse(f"{path}.volumeMounts[].name", mount["name"], why)
        elif _CLOSED_PATHS.search(str(mount["mountPath"])):
            yield _refuse(
                f"{path}.volumeMounts[].mountPath", mount["mountPath"], "the operator mounts this; choose another path"
            )


def _variables(path: str, container: Object, spec: RerankServiceSpec) -> Iterator[str]:
    """Only the names are told: a value may be a secret."""
    guarded = spec.engine.guard is Guard.ENABLED
    for variable in container.get("env", []):
        name = str(variable["name"])
        if name.startswith("RERANK_GUARD_"):
            why = "the guard's variables come from spec.engine and spec.access; remove it"
            yield _refuse(f"{path}.env[].name", name, why)
        if guarded and name == "PYTHONPATH":
            why = "vLLM finds the guard by it; install Python code in an image of your own (engine.image)"
            yield _refuse(f"{path}.env[].name", name, why)
