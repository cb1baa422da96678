"""Delete a pod that went wrong; its Deployment starts a new one."""

import logging

from rerank_operator.clients.errors import ApiRejected
from rerank_operator.clients.kube import PODS, KubeClient
from rerank_operator.controller.decisions import Restart

logger = logging.getLogger(__name__)


async def restart(decided: Restart, kube: KubeClient) -> bool:
    """Whether the pod was deleted; without the right to do so it stays, and the status goes on saying what is wrong."""
    key, pod = decided.key, decided.pod
    try:
        return await kube.delete(PODS, key.namespace, pod.name, pod.uid)
    except ApiRejected as error:
        logger.warning("a pod was not restarted", extra={"reranker": "/".join(key), "error": str(error)})
        return False
