"""Publish in further places: copies in other namespaces, the Secret. A fault in one place stops nothing else."""

from collections.abc import Awaitable

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import (
    AlreadyExists,
    ApiRejected,
    ClientError,
    NameConflict,
    NamespaceTerminating,
    NotFound,
    ObjectInvalid,
)
from rerank_operator.clients.kube import KINDS, KubeClient
from rerank_operator.controller.copies import place_of
from rerank_operator.controller.decisions import Sharing
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Fault

_OF_ONE_PLACE = (AlreadyExists, ApiRejected, NameConflict, NamespaceTerminating, NotFound, ObjectInvalid)


async def share(sharing: Sharing, kube: KubeClient, mirror: Mirror) -> dict[str, Fault]:
    """Delete, create and update; returns by place why nothing is published there.

    Raises ApiUnavailable when the API server does not answer: then the round is tried again.
    """
    faults = dict(sharing.faults)
    for obj in sharing.delete:
        await _try(_delete(obj, kube, mirror), obj, faults)
    for obj in sharing.create:
        await _try(_write(kube.create(obj), mirror), obj, faults)
    for obj in sharing.update:
        await _try(_write(kube.update(obj), mirror), obj, faults)
    return faults


async def _try(step: Awaitable[None], obj: Object, faults: dict[str, Fault]) -> None:
    try:
        await step
    except _OF_ONE_PLACE as error:
        faults[place_of(obj)] = _fault_of(error)


async def _delete(obj: Object, kube: KubeClient, mirror: Mirror) -> None:
    metadata = obj["metadata"]
    if await kube.delete(KINDS[obj["kind"]], metadata["namespace"], metadata["name"], metadata["uid"]):
        mirror.drop(obj)


async def _write(writing: Awaitable[Object], mirror: Mirror) -> None:
    written = await writing
    if written["kind"] != "Secret":  # nothing watches them, so nothing would keep the mirror right
        mirror.put(written)


def _fault_of(error: ClientError) -> Fault:
    if isinstance(error, NameConflict):
        return Reason.COPY_REFUSED, f"{error} exists there and is not ours; it was not touched"
    if isinstance(error, NotFound):
        return Reason.NAMESPACE_MISSING, "it does not exist"
    hint = " (a Secret needs publish.serviceBindings of the chart)" if "secrets" in str(error) else ""
    return Reason.COPY_REFUSED, f"{error}{hint}"
