"""What `spec.podTemplate` must not change, because a promise depends on it. Pure.

The rest is the user's: whatever else the pod then does, a candidate that does not rank right is not switched to.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankServiceSpec
from rerank_operator.api.v1alpha1.volumes import RESERVED_PATHS
from rerank_operator.engine import command

Object = Mapping[str, Any]

# Containers of ours, by the list of the pod that they are in.
_OURS: Final = {
    "containers": frozenset({names.ENGINE_CONTAINER}),
    "initContainers": frozenset({names.FETCH_CONTAINER, names.CHECK_CONTAINER}),
}
# Fields of our containers, and what to do instead.
_OWN_FIELDS: Final = {
    "command": "the operator says what runs; use engine.args for arguments of vLLM",
    "args": "use engine.args",
    "image": "use engine.image",
    "imagePullPolicy": "use engine.imagePullPolicy",
    "ports": "use service.port for the port that callers see",
    "startupProbe": "no pod may serve that has not ranked; use rollout.startupTimeoutSeconds for its time",
    "readinessProbe": "no pod may serve that does not rank; remove it",
    "livenessProbe": "an engine that only is busy must not be killed; remove it",
    "lifecycle": "requests in flight would be lost when the pod stops; remove it",
    "restartPolicy": "an engine that ended has to come back; remove it",
    "restartPolicyRules": "an engine that ended has to come back; remove it",
}
# tmp, home and shm may become larger, or another kind of volume; what is in these is read or written by us.
_OWN_VOLUMES: Final = re.compile("^(files|run|keys|ca|model.*)$")
_OWN_PATHS: Final = re.compile(RESERVED_PATHS)
# Lists that are merged item by item, and what tells their items apart.
_POD_LISTS: Final = {"containers": "name", "initContainers": "name", "volumes": "name", "resourceClaims": "name"}
_CONTAINER_LISTS: Final = {"env": "name", "volumeMounts": "mountPath"}
_MERGED_KEYS: Final = ("labels", "annotations")


def pod_template_refusals(spec: RerankServiceSpec) -> list[str]:
    """Why `spec.podTemplate` cannot be merged, each with field, value and remedy; empty where it can be.

    Only the wrong shapes are told where there are any: nothing else can be read then.
    """
    if spec.pod_template is None:
        return []
    metadata, pod = spec.pod_template.metadata or {}, spec.pod_template.spec or {}
    return list(_shapes(metadata, pod)) or [*_metadata(metadata), *_pod(pod), *_volumes(pod), *_containers(pod)]


def _refuse(path: str, value: Any, why: str) -> str:
    return f"podTemplate.{path} is {_shown(value)}: {why}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return repr(value) if isinstance(value, str | int | float) else "set"


def _shapes(metadata: Object, pod: Object) -> Iterator[str]:
    """Values that cannot be merged. A null would remove what is ours as well."""
    for key in _MERGED_KEYS:
        if not isinstance(metadata.get(key, {}), Mapping):
            yield _refuse(f"metadata.{key}", metadata[key], "it must be a map of texts")
    if not isinstance(pod.get("securityContext", {}), Mapping):
        yield _refuse("spec.securityContext", pod["securityContext"], "it must be an object")
    wrong = [*_lists("spec", pod, _POD_LISTS)]
    yield from wrong
    for path, container in () if wrong else _own_containers(pod):
        yield from _lists(path, container, _CONTAINER_LISTS)
        if not isinstance(container.get("securityContext", {}), Mapping):
            yield _refuse(f"{path}.securityContext", container["securityContext"], "it must be an object")


def _lists(path: str, holder: Object, keys: Mapping[str, str]) -> Iterator[str]:
    for field, key in keys.items():
        items = holder.get(field, [])
        if not (isinstance(items, list) and all(isinstance(i, Mapping) and isinstance(i.get(key), str) for i in items)):
            yield _refuse(f"{path}.{field}", items, f"it must be a list of objects, each with its {key}")


def _own_containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """What is said of containers of ours, with its path."""
    for field, ours in _OURS.items():
        for container in pod.get(field, []):
            if container["name"] in ours:
                yield f"spec.{field}[{container['name']}]", container


def _metadata(metadata: Object) -> Iterator[str]:
    for field, value in metadata.items():
        if field not in _MERGED_KEYS:
            yield _refuse(f"metadata.{field}", value, "pods take labels and annotations only; remove it")
    own = names.revision_labels("", "")
    for label, value in metadata.get("labels", {}).items():
        if label in own or label.startswith(f"{names.GROUP}/"):
            why = "the operator finds its pods by this label; choose another one"
            yield _refuse(f"metadata.labels[{label}]", value, why)


def _pod(pod: Object) -> Iterator[str]:
    if pod.get("restartPolicy", "Always") != "Always":
        why = "an engine that ended has to come back; remove it"
        yield _refuse("spec.restartPolicy", pod["restartPolicy"], why)
    if pod.get("hostNetwork"):
        why = "two revisions on one node would answer for each other; remove it"
        yield _refuse("spec.hostNetwork", pod["hostNetwork"], why)
    grace = pod.get("terminationGracePeriodSeconds", command.GRACE_SECONDS)
    if not isinstance(grace, int) or grace < command.GRACE_SECONDS:
        why = f"requests in flight would be lost when a pod stops; set at least {command.GRACE_SECONDS}"
        yield _refuse("spec.terminationGracePeriodSeconds", grace, why)
    yield from _privileges("spec", pod.get("securityContext", {}))


def _privileges(path: str, security: Object) -> Iterator[str]:
    weaker = {"privileged": True, "allowPrivilegeEscalation": True, "runAsNonRoot": False, "runAsUser": 0}
    for field, value in weaker.items():
        given = security.get(field)
        if given is not None and given == value:
            why = "code of a model could take over the node; remove it"
            yield _refuse(f"{path}.securityContext.{field}", given, why)


def _volumes(pod: Object) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        if _OWN_VOLUMES.match(volume["name"]):
            why = "the operator's own volume of this name holds what the pod is checked with; choose another name"
            yield _refuse("spec.volumes[].name", volume["name"], why)


def _containers(pod: Object) -> Iterator[str]:
    for path, container in _own_containers(pod):
        for field, remedy in _OWN_FIELDS.items():
            if field in container:
                yield _refuse(f"{path}.{field}", container[field], remedy)
        yield from _privileges(path, container.get("securityContext", {}))
        for mount in container.get("volumeMounts", []):
            if _OWN_PATHS.search(mount["mountPath"]):
                why = "the operator mounts something there; choose another folder"
                yield _refuse(f"{path}.volumeMounts[].mountPath", mount["mountPath"], why)
        for variable in container.get("env", []):
            if variable["name"].startswith("RERANK_GUARD_"):
                why = "the guard's variables come from spec.engine and spec.access; remove it"
                yield _refuse(f"{path}.env[].name", variable["name"], why)
