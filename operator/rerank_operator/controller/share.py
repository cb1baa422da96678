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
from rerank_operator.controller.copies import differs, over, place_of
from rerank_operator.controller.decisions import Sharing
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Fault

# A key more in a copy would contradict what is published: nobody else has a part of it.
_OURS_ALONE = ("data",)
_OF_ONE_PLACE = (AlreadyExists, ApiRejected, NameConflict, NamespaceTerminating, NotFound, ObjectInvalid)


async def share(sharing: Sharing, kube: KubeClient, mirror: Mirror) -> dict[str, Fault]:
    """Create, update and delete, in this order; returns by place why nothing is published there.

    Raises ApiUnavailable when the API server does not answer: then the round is tried again.
    """
    faults = dict(sharing.faults)
    for obj in sharing.create:
        await _try(_create(obj, kube, mirror), obj, faults)
    for obj in sharing.update:
        await _try(_update(obj, kube, mirror), obj, faults)
    for obj in sharing.delete:
        await _try(_delete(obj, kube, mirror), obj, faults)
    return faults


async def _try(step: Awaitable[None], obj: Object, faults: dict[str, Fault]) -> None:
    try:
        await step
    except _OF_ONE_PLACE as error:
        faults[place_of(obj)] = _fault_of(error, obj)


async def _create(obj: Object, kube: KubeClient, mirror: Mirror) -> None:
    written = await kube.create(obj)
    if differs(obj, written):  # it was there already, and nothing had told of it
        written = await kube.update(over(obj, written), _OURS_ALONE)
    _keep(written, mirror)


async def _update(obj: Object, kube: KubeClient, mirror: Mirror) -> None:
    try:
        _keep(await kube.update(obj, _OURS_ALONE), mirror)
    except (AlreadyExists, NotFound):  # it changed, or went, since it was looked at: creating tells whose the name is
        metadata = {field: value for field, value in obj["metadata"].items() if field != "uid"}
        await _create({**obj, "metadata": metadata}, kube, mirror)


async def _delete(obj: Object, kube: KubeClient, mirror: Mirror) -> None:
    metadata = obj["metadata"]
    if await kube.delete(KINDS[obj["kind"]], metadata["namespace"], metadata["name"], metadata["uid"]):
        mirror.drop(obj)


def _keep(written: Object, mirror: Mirror) -> None:
    if written["kind"] != "Secret":  # nothing watches them, so nothing would keep the mirror right
        mirror.put(written)


def _fault_of(error: ClientError, obj: Object) -> Fault:
    if isinstance(error, NameConflict):
        return Reason.COPY_REFUSED, f"{error} exists there and is not ours; it was not touched"
    if isinstance(error, NotFound):
        return Reason.NAMESPACE_MISSING, "it does not exist"
    lacks_right = obj["kind"] == "Secret" and type(error) is ApiRejected
    return (
        Reason.COPY_REFUSED,
        f"{error}{' (a Secret needs publish.serviceBindings of the chart)' if lacks_right else ''}",
    )
