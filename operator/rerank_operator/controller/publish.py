"""Move the Service and the ConfigMap to a revision that ranks right."""

from rerank_operator.clients.kube import KubeClient
from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.values import Observed


async def publish(plan: Plan, observed: Observed, kube: KubeClient, mirror: Mirror) -> bool:
    """Write Service and ConfigMap, one right after the other; says whether anything was written.

    A crash between the two leaves a Service that is ahead of the ConfigMap; the next round writes the ConfigMap.
    """
    there = [o for o in (observed.service, *observed.publications) if o is not None]
    known = {(o["kind"], o["metadata"]["name"]) for o in there}
    for obj in plan.publish:
        is_known = (obj["kind"], obj["metadata"]["name"]) in known
        mirror.put(await (kube.update(obj) if is_known else kube.create(obj)))
    return bool(plan.publish)
