"""Watch events become entries of the mirror and keys in the queue. Nothing else happens here.

Only `on.event` is used: kopf's other handlers add finalizers or annotations to the resource.
"""

from typing import Any, Final

import kopf

from rerank_operator.api import names
from rerank_operator.controller.mirror import Mirror, owner_key
from rerank_operator.controller.values import Key, Object
from rerank_operator.controller.workqueue import WorkQueue

SELECTOR: Final = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
# Group, version, plural and kind of each.
CHILDREN: Final = (
    ("apps", "v1", "deployments", "Deployment"),
    ("apps", "v1", "controllerrevisions", "ControllerRevision"),
    ("", "v1", "services", "Service"),
    ("", "v1", "configmaps", "ConfigMap"),
    ("", "v1", "pods", "Pod"),
)


def register(registry: kopf.OperatorRegistry, mirror: Mirror, queue: WorkQueue[Key]) -> None:
    """Watch rerankers and their children."""
    _watch(registry, mirror, queue, names.GROUP, names.VERSION, names.PLURAL, names.KIND)
    for group, version, plural, kind in CHILDREN:
        _watch(registry, mirror, queue, group, version, plural, kind)


def _watch(
    registry: kopf.OperatorRegistry,
    mirror: Mirror,
    queue: WorkQueue[Key],
    group: str,
    version: str,
    plural: str,
    kind: str,
) -> None:
    api_version = f"{group}/{version}" if group else version

    @kopf.on.event(group, version, plural, registry=registry, id=plural)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        obj: Object = {"apiVersion": api_version, "kind": kind, **event["object"]}
        changed = mirror.drop(obj) if event["type"] == "DELETED" else mirror.put(obj)
        if changed and (key := owner_key(obj)):
            queue.add(key)
