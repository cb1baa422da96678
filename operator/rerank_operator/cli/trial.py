"""What `kubectl apply` of a reranker would store: asked of the API server, which writes nothing."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rerank_operator.cli.cluster import Missing
from rerank_operator.clients.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from rerank_operator.clients.kube import KubeClient

Object = dict[str, Any]
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MANAGER: Final = "kubectl"
# The operator writes a status now and then, and then the object that was read is no longer the newest.
_TRIES: Final = 5


async def would_be(kube: "KubeClient", document: Object) -> tuple[Object | None, Object]:
    """The reranker as it is stored now, None when there is none, and as it would be.

    Who applied it before decides what a field means that is in the file no more: it goes if they had set it.
    Raises ObjectInvalid with the API server's words, and Missing for a namespace that does not exist.
    """
    try:
        return await _ask(kube, document)
    except NotFound as error:
        namespace = document["metadata"]["namespace"]
        if f'namespaces "{namespace}" not found' not in str(error):
            raise
        raise Missing(f"Namespace {namespace!r} does not exist: kubectl create namespace {namespace}.") from error


async def _ask(kube: "KubeClient", document: Object) -> tuple[Object | None, Object]:
    from rerank_operator.clients.kube import RERANKERS  # noqa: PLC0415 - takes most of a second to import

    for tried in range(1, _TRIES + 1):
        live = await kube.get(RERANKERS, document["metadata"]["namespace"], document["metadata"]["name"])
        try:
            if live is None:
                return None, await kube.dry_run("POST", document)
            last = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
            if last is None:
                return live, await kube.dry_run("PATCH", document, fieldManager=_manager_of(live), force="true")
            spec = three_way(live["spec"], json.loads(last)["spec"], document["spec"])
            return live, await kube.dry_run("PUT", {**live, "spec": spec})
        except AlreadyExists:
            if tried == _TRIES:
                raise
    raise AssertionError  # the loop returns or raises


def three_way(live: Any, last: Any, new: Any) -> Any:
    """What is there with `new` put in, and without what only `last` had, as kubectl apply does it."""
    if not isinstance(live, Mapping) or not isinstance(new, Mapping):
        return new
    before = last if isinstance(last, Mapping) else {}
    kept = {key: value for key, value in live.items() if key in new or key not in before}
    return {**kept, **{key: three_way(live.get(key), before.get(key), value) for key, value in new.items()}}


def _manager_of(live: Object) -> str:
    """Who owns the spec by server-side apply: kubectl, Flux, or another."""
    for entry in live["metadata"].get("managedFields", []):
        owns = entry["operation"] == "Apply" and not entry.get("subresource") and "f:spec" in entry.get("fieldsV1", {})
        if owns:
            return str(entry["manager"])
    return _MANAGER
