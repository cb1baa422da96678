"""What a round does about copies, whatever else is wrong with the reranker."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rerank_operator.api import names
from rerank_operator.clients.errors import ApiRejected, ClientError, NameConflict
from rerank_operator.clients.kube import Kind, KubeClient
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object
from rerank_operator.controller.reconcile import Reconciler
from rerank_operator.controller.values import Key, Observed
from rerank_operator.resources.publication_copy import build_copy
from tests.builders import IMAGES, a_resource, serving

KEY = Key("search", "bge")
ASKS_NOBODY = SimpleNamespace(records={}, early={}, start=lambda _targets: False)
SHARED: Object = {"publish": {"namespaces": ["shop"]}}
REFUSED: Object = {**SHARED, "model": {"name": "mixedbread-ai/mxbai-rerank-base-v1"}}
INVALID: Object = {**SHARED, "replicas": "many"}
AGREES = {names.ANNOTATION_ACCEPTS: "search"}


class Kube:
    """An API server that knows the namespace shop, and keeps what it is asked and told.

    `taken` are names that somebody else's objects have. An annotation is None where the namespace may not be read.
    """

    def __init__(self, annotations: dict[str, str] | None, taken: tuple[str, ...] = ()) -> None:
        self.read: list[str | None] = []
        self.deleted: list[str] = []
        self.written: list[str] = []
        self.told: list[str] = []
        self.refuses_to_delete: ClientError | None = None
        self._annotations = annotations
        self._taken = taken

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        if kind.kind != "Namespace":
            return {"metadata": {"name": name}} if name in self._taken and namespace == "search" else None
        self.read.append(name)
        if self._annotations is None:
            raise ApiRejected("403")
        return {"metadata": {"name": name, "annotations": self._annotations}}

    async def create(self, obj: Object) -> Object:
        if obj["metadata"]["name"] in self._taken:
            raise NameConflict(f"{obj['kind']} {obj['metadata']['name']!r}")
        return self._keep(obj)

    async def update(self, obj: Object, _whole: tuple[str, ...] = ()) -> Object:
        return self._keep(obj)

    async def delete(self, _kind: Kind, namespace: str, name: str, _uid: str) -> bool:
        if self.refuses_to_delete:
            raise self.refuses_to_delete
        self.deleted.append(f"{namespace}/{name}")
        return True

    async def apply_status(self, obj: Object) -> Object:
        self.told += [c["reason"] for c in obj["status"]["conditions"] if c["type"] == "Ready"]
        return {**a_resource(), "status": obj["status"]}

    async def post_event(self, event: Object) -> None:
        pass

    def _keep(self, obj: Object) -> Object:
        self.written.append(f"{obj['metadata']['namespace']}/{obj['metadata']['name']}")
        return {**obj, "metadata": {"uid": "uid-of-new", "resourceVersion": "9", **obj["metadata"]}}


def known(found: Observed, spec: Object, *, copies: bool = True) -> Mirror:
    """A mirror that holds all of a reranker, its spec changed to this one, and a copy in the namespace shop."""
    mirror = Mirror()
    (publication,) = found.publications
    children = [*found.revisions.values(), *found.deployments.values(), *found.files.values(), publication]
    resource = {**a_resource(**spec), "status": found.resource.get("status", {})}
    for obj in (resource, *children, *((found.service,) if found.service else ())):
        mirror.put(_stored(obj))
    if copies:
        mirror.put(_stored(build_copy(publication, "shop")))
    return mirror


def _stored(obj: Object) -> Object:
    metadata = {"uid": f"uid-of-{obj['metadata']['name']}", "resourceVersion": "1", **obj["metadata"]}
    return json.loads(json.dumps({**obj, "metadata": metadata}))  # type: ignore[no-any-return]


def round_of(kube: Kube, mirror: Mirror, namespaces: tuple[str, ...] = ()) -> float | None:
    """One round of the reranker."""
    doubles: tuple[Any, Any, Any] = (kube, ASKS_NOBODY, ASKS_NOBODY)
    api, verifier, milvus = doubles
    reconciler = Reconciler(cast("KubeClient", api), mirror, verifier, milvus, IMAGES, namespaces=namespaces)
    return asyncio.run(reconciler.reconcile(KEY))


def copies_in(mirror: Mirror) -> list[str]:
    return [o["metadata"]["namespace"] for o in mirror.of(KEY) if o["metadata"]["namespace"] != "search"]


@pytest.mark.parametrize(
    ("spec", "taken", "reason"),
    [
        (SHARED, (), "EngineStarting"),
        (REFUSED, (), "ModelRefused"),
        (INVALID, (), "InvalidSpec"),
        ({**SHARED, "replicas": 2}, ("bge",), "NameConflict"),
    ],
    ids=["healthy", "refused", "invalid", "name conflict"],
)
def test_a_namespace_that_agrees_no_more_loses_its_copy_whatever_else_is_wrong(
    spec: Object, taken: tuple[str, ...], reason: str
) -> None:
    mirror = known(serving(**SHARED), spec)
    agreeing, withdrawn = Kube(AGREES, taken), Kube({}, taken)
    round_of(agreeing, mirror)
    assert ([], ["shop"]) == (agreeing.deleted, copies_in(mirror))

    round_of(withdrawn, mirror)
    assert (["shop/bge-milvus"], []) == (withdrawn.deleted, copies_in(mirror))
    assert [reason] == (agreeing.told + withdrawn.told)[:1]


@pytest.mark.parametrize("spec", [SHARED, REFUSED, INVALID], ids=["healthy", "refused", "invalid"])
def test_a_namespace_that_may_not_be_read_or_is_not_watched_says_nothing_of_its_copy(spec: Object) -> None:
    unread, unwatched = Kube(None), Kube({})
    mirror = known(serving(**SHARED), spec)
    round_of(unread, mirror)
    round_of(unwatched, mirror, ("search",))

    assert (["shop"], []) == (unread.read, unwatched.read)
    assert ([], []) == (unread.deleted, unwatched.deleted)


def test_a_namespace_that_is_not_watched_is_neither_asked_nor_written_to() -> None:
    mirror = known(serving(**SHARED), SHARED, copies=False)
    narrow, wide, both = Kube(AGREES), Kube(AGREES), Kube(AGREES)
    round_of(narrow, mirror, ("search",))
    assert ([], False) == (narrow.read, "shop/bge-milvus" in narrow.written)

    for kube, namespaces in ((wide, ()), (both, ("search", "shop"))):
        mirror = known(serving(**SHARED), SHARED, copies=False)
        round_of(kube, mirror, namespaces)
        assert (["shop"], True) == (kube.read, "shop/bge-milvus" in kube.written)


@pytest.mark.parametrize("spec", [{}, {"replicas": "many"}, {"model": REFUSED["model"]}])
def test_no_namespace_is_read_for_a_reranker_without_copies(spec: Object) -> None:
    kube = Kube({})
    round_of(kube, known(serving(), spec, copies=False))

    assert [] == kube.read


def test_a_copy_that_cannot_be_deleted_stays_known_and_does_not_end_the_round() -> None:
    kube, mirror = Kube({}), known(serving(**SHARED), REFUSED)
    kube.refuses_to_delete = ApiRejected("403")
    round_of(kube, mirror)

    assert (["ModelRefused"], ["shop"]) == (kube.told, copies_in(mirror))
