"""Write what the plan says about children. New objects are created, never overwritten; known ones are updated."""

from rerank_operator.clients.kube import KINDS, KubeClient
from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.mirror import Mirror


async def apply(plan: Plan, kube: KubeClient, mirror: Mirror) -> None:
    """Create, update and delete, in this order.

    Raises the client's error of the first write that fails; what was written before stays, and the next round goes
    on from there.
    """
    for obj in plan.create:
        mirror.put(await kube.create(obj))
    for obj in plan.update:
        mirror.put(await kube.update(obj))
    for obj in plan.delete:
        metadata = obj["metadata"]
        if await kube.delete(KINDS[obj["kind"]], metadata["namespace"], metadata["name"], metadata["uid"]):
            mirror.drop(obj)
