"""Read everything anew, at the start and then now and again.

Whatever a broken watch lost is found here: what a complete list does not hold is dropped from the mirror.
"""

import sys
from collections.abc import Sequence
from typing import Final

from rerank_operator.clients.errors import NotFound
from rerank_operator.clients.kube import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    HTTP_ROUTES,
    INGRESSES,
    PODS,
    RERANKERS,
    REVISIONS,
    SCALED_OBJECTS,
    SERVICES,
    Kind,
    KubeClient,
)
from rerank_operator.controller.events import SELECTOR
from rerank_operator.controller.mirror import Mirror, owner_key, slot_of
from rerank_operator.controller.values import Key
from rerank_operator.controller.workqueue import WorkQueue

_KINDS: Final = (
    RERANKERS,
    DEPLOYMENTS,
    REVISIONS,
    SERVICES,
    CONFIG_MAPS,
    PODS,
    DISRUPTION_BUDGETS,
    AUTOSCALERS,
    INGRESSES,
)
# Not watched: most clusters have neither KEDA nor the Gateway API, and nothing but a person changes what we made.
_NOT_EVERYWHERE: Final = (SCALED_OBJECTS, HTTP_ROUTES)


async def resync(kube: KubeClient, mirror: Mirror, queue: WorkQueue[Key], namespaces: Sequence[str]) -> None:
    """List every kind in every watched namespace and queue every reranker; raises the client's errors."""
    for kind in _KINDS:
        await _list(kind, kube, mirror, namespaces)
    for kind in _NOT_EVERYWHERE:
        try:
            await _list(kind, kube, mirror, namespaces)
        except NotFound:
            mirror.keep_only(kind.kind, set(), sys.maxsize)
    for key in mirror.keys():  # noqa: SIM118 - not a dict
        queue.add(key)


async def _list(kind: Kind, kube: KubeClient, mirror: Mirror, namespaces: Sequence[str]) -> None:
    selector = "" if kind is RERANKERS else SELECTOR
    listed: set[tuple[Key, str]] = set()
    versions: list[int] = []
    for namespace in namespaces or (None,):
        async for objects, version in kube.pages(kind, namespace, selector):
            versions.append(version)
            for obj in objects:
                mirror.put(obj)
                if key := owner_key(obj):
                    listed.add((key, slot_of(obj)[1]))
    mirror.keep_only(kind.kind, listed, min(versions))
