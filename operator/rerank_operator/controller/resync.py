"""Read everything anew, at the start and then now and again.

Whatever a broken watch lost is found here: the complete lists replace what the mirror knows.
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
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.values import Key, Object
from rerank_operator.controller.workqueue import WorkQueue


async def resync(kube: KubeClient, mirror: Mirror, queue: WorkQueue[Key], namespaces: Sequence[str]) -> None:
    """List every kind in every watched namespace and queue every reranker; raises the client's errors."""
    for kind in (RERANKERS, DEPLOYMENTS, REVISIONS, SERVICES, CONFIG_MAPS, PODS):
        selector = "" if kind is RERANKERS else SELECTOR
        objects: list[Object] = []
        versions = []
        for namespace in namespaces or (None,):
            items, version = await kube.list(kind, namespace, selector)
            objects += items
            versions.append(version)
        mirror.replace(kind.kind, objects, min(versions))
    for key in mirror.keys():  # noqa: SIM118 - not a dict
        queue.add(key)
