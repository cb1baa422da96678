"""Read everything anew, at the start and then now and again.

Whatever a broken watch lost is found here: what a complete list does not hold is dropped from the mirror.
"""

from collections.abc import Sequence

from rerank_operator.clients.kube import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    RERANKERS,
    REVISIONS,
    SERVICES,
    KubeClient,
)
from rerank_operator.controller.events import SELECTOR
from rerank_operator.controller.mirror import Mirror, owner_key
from rerank_operator.controller.values import Key
from rerank_operator.controller.workqueue import WorkQueue


async def resync(kube: KubeClient, mirror: Mirror, queue: WorkQueue[Key], namespaces: Sequence[str]) -> None:
    """List every kind in every watched namespace and queue every reranker; raises the client's errors."""
    for kind in (RERANKERS, DEPLOYMENTS, REVISIONS, SERVICES, CONFIG_MAPS, PODS):
        selector = "" if kind is RERANKERS else SELECTOR
        listed: set[tuple[Key, str]] = set()
        versions: list[int] = []
        for namespace in namespaces or (None,):
            async for objects, version in kube.pages(kind, namespace, selector):
                versions.append(version)
                for obj in objects:
                    mirror.put(obj)
                    if key := owner_key(obj):
                        listed.add((key, obj["metadata"]["name"]))
        mirror.keep_only(kind.kind, listed, min(versions))
    for key in mirror.keys():  # noqa: SIM118 - not a dict
        queue.add(key)
