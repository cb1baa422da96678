"""Whether the model pods of a revision find accelerators: what each asks for, and what nodes have. Pure.

It is what the scheduler would see now, of the things that decide most: node selectors, taints, cordoned nodes, and
what other pods hold. Affinity is not looked at.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rerank_operator.api import names

Object = dict[str, Any]
_NO_ACCELERATORS: Final = ("cpu", "memory", "ephemeral-storage", "storage", "pods", "hugepages-", "attachable-volumes-")
_KEEPS_OUT: Final = {"NoSchedule", "NoExecute"}


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """Accelerators called `resource` on the nodes that a pod may run on.

    `own` is what pods of this reranker hold, `pods_that_fit` how many new pods find `per_pod` free ones on one node.
    `tainted` is what lies on further nodes, which have a taint that the pod does not tolerate.
    """

    resource: str
    per_pod: int
    nodes: int
    allocatable: int
    free: int
    own: int
    pods_that_fit: int
    tainted: int


def asked(template: Object) -> dict[str, int]:
    """Accelerators that one pod asks for, by resource name."""
    return _asked(template["spec"])


def claims(template: Object) -> list[str]:
    """Names of the resource claims of a pod (dynamic resource allocation); nobody can count what is free for these."""
    return [claim["name"] for claim in template["spec"].get("resourceClaims", [])]


def rooms(template: Object, reranker: tuple[str, str], nodes: Iterable[Object], pods: Iterable[Object]) -> list[Room]:
    """What there is for each resource that a pod asks for; `reranker` is namespace and name."""
    selected = [node for node in nodes if _is_selected(node, template["spec"])]
    usable = [node for node in selected if _is_tolerated(node, template["spec"])]
    tainted = [node for node in selected if node not in usable]
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    own: dict[str, int] = defaultdict(int)
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or "nodeName" not in pod["spec"]:
            continue
        for resource, count in _asked(pod["spec"]).items():
            held[pod["spec"]["nodeName"]][resource] += count
            own[resource] += count if _belongs_to(pod, reranker) else 0
    return [
        dataclasses.replace(
            _room(resource, per_pod, usable, {node: of[resource] for node, of in held.items()}),
            own=own[resource],
            tainted=sum(_allocatable(node, resource) for node in tainted),
        )
        for resource, per_pod in asked(template).items()
    ]


def _room(resource: str, per_pod: int, nodes: list[Object], held: Mapping[str, int]) -> Room:
    having = {node["metadata"]["name"]: _allocatable(node, resource) for node in nodes}
    free = {name: max(0, count - held.get(name, 0)) for name, count in having.items()}
    return Room(
        resource=resource,
        per_pod=per_pod,
        nodes=sum(count > 0 for count in having.values()),
        allocatable=sum(having.values()),
        free=sum(free.values()),
        own=0,
        pods_that_fit=sum(count // per_pod for count in free.values()),
        tainted=0,
    )


def _allocatable(node: Object, resource: str) -> int:
    return int(node.get("status", {}).get("allocatable", {}).get(resource, 0))


def _asked(spec: Object) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for container in spec["containers"]:
        resources = container.get("resources") or {}
        both = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
        for resource, amount in both.items():
            if not resource.startswith(_NO_ACCELERATORS) and str(amount).isdigit() and int(amount):
                total[resource] += int(amount)
    return dict(total)


def _belongs_to(pod: Object, reranker: tuple[str, str]) -> bool:
    metadata = pod["metadata"]
    return (metadata["namespace"], metadata.get("labels", {}).get(names.LABEL_RERANKER)) == reranker


def _is_selected(node: Object, pod: Object) -> bool:
    wanted: dict[str, str] = pod.get("nodeSelector") or {}
    labels: dict[str, str] = node["metadata"].get("labels", {})
    return not node.get("spec", {}).get("unschedulable") and wanted.items() <= labels.items()


def _is_tolerated(node: Object, pod: Object) -> bool:
    taints = [taint for taint in node.get("spec", {}).get("taints") or [] if taint.get("effect") in _KEEPS_OUT]
    return all(any(_tolerates(given, taint) for given in pod.get("tolerations") or []) for taint in taints)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))
