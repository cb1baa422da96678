"""Watch events become entries of the mirror and keys in the queue. Nothing else happens here.

Only `on.event` is used: kopf's other handlers add finalizers or annotations to the resource. What kopf would
remember for those is switched off: it copied every object twice for each event, half of the operator's work.
"""

import functools
from collections.abc import Callable
from typing import Any, Final, cast

import kopf

from rerank_operator.api import names
from rerank_operator.controller.mirror import Mirror, owner_key
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Key
from rerank_operator.controller.workqueue import WorkQueue

WATCH_SECONDS: Final = 600
SELECTOR: Final = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
# Group, version, plural and kind of each.
CHILDREN: Final = (
    ("apps", "v1", "deployments", "Deployment"),
    ("apps", "v1", "controllerrevisions", "ControllerRevision"),
    ("", "v1", "services", "Service"),
    ("", "v1", "configmaps", "ConfigMap"),
    ("", "v1", "pods", "Pod"),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "ingresses", "Ingress"),
)


def register(
    registry: kopf.OperatorRegistry, mirror: Mirror, queue: WorkQueue[Key], heard: set[tuple[str, str]]
) -> None:
    """Watch rerankers and their children. `heard` gets kind and namespace of each event: that watch has begun."""

    def take(event: kopf.RawEvent, api_version: str, kind: str) -> None:
        obj: Object = {"apiVersion": api_version, "kind": kind, **event["object"]}
        heard.add((kind, obj["metadata"]["namespace"]))
        changed = mirror.drop(obj) if event["type"] == "DELETED" else mirror.put(obj)
        if changed and (key := owner_key(obj)):
            queue.add(key, urgent=_is_ready_pod(obj))

    for group, version, plural, kind in ((names.GROUP, names.VERSION, names.PLURAL, names.KIND), *CHILDREN):
        _watch(registry, group, version, plural, functools.partial(take, kind=kind))


def _is_ready_pod(obj: Object) -> bool:
    """A pod that has loaded its model should not wait behind rerankers that have not begun."""
    conditions = obj.get("status", {}).get("conditions", []) if obj["kind"] == "Pod" else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def watch_settings() -> kopf.OperatorSettings:
    """Watch only what is ours, tell nobody else, and never pause because of a stray peering object."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 100
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = 0.5  # kopf keeps a task and the last body of an object for so long
    settings.process.ultimate_exiting_timeout = 25
    settings.persistence.finalizer = f"{names.GROUP}/never-added"
    settings.persistence.diffbase_storage = _NoDifferences()
    settings.persistence.progress_storage = _NoProgress()
    for group, _, plural, _ in CHILDREN:
        settings.watching.label_selectors[group, plural] = SELECTOR
    return settings


class _NoDifferences(kopf.DiffBaseStorage):
    """Remember no former state: nothing here asks what changed."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Remember no progress: handlers of events have none."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def _watch(
    registry: kopf.OperatorRegistry, group: str, version: str, plural: str, take: Callable[[kopf.RawEvent, str], None]
) -> None:
    api_version = f"{group}/{version}" if group else version

    @kopf.on.event(group, version, plural, registry=registry, id=plural)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        take(event, api_version)
