"""What is written in further places, and what becomes of a place that refuses."""

import asyncio
from collections.abc import Collection
from typing import Any, cast

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import (
    AlreadyExists,
    ApiRejected,
    ApiUnavailable,
    ClientError,
    NameConflict,
    NamespaceTerminating,
    NotFound,
    ObjectInvalid,
)
from rerank_operator.clients.kube import Kind, KubeClient
from rerank_operator.controller.decisions import Sharing
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object
from rerank_operator.controller.share import share
from rerank_operator.controller.values import Fault, Key
from rerank_operator.resources.publication_copy import build_copy
from tests.builders import serving

KEY = Key("search", "bge")
(PUBLICATION,) = serving().publications
SECRET: Object = {
    "kind": "Secret",
    "metadata": {"name": "bge-binding", "namespace": "search", "labels": {"rerank-operator.io/reranker": "bge"}},
    "data": {"type": "cmVyYW5r"},
}


class Kube:
    """An API server that answers a method in a namespace with an object or with an error, else with what it is sent."""

    def __init__(self, answers: dict[tuple[str, str], Object | ClientError] | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.sent: list[Object] = []
        self._answers = answers or {}

    async def create(self, obj: Object) -> Object:
        return self._answer("create", obj)

    async def update(self, obj: Object, whole: Collection[str]) -> Object:
        assert ["data"] == list(whole)
        return self._answer("update", obj)

    async def delete(self, _kind: Kind, namespace: str, _name: str, uid: str) -> bool:
        self._answer("delete", {"metadata": {"namespace": namespace, "uid": uid}})
        return True

    def _answer(self, method: str, obj: Object) -> Object:
        call = method, obj["metadata"]["namespace"]
        self.calls.append(call)
        self.sent.append(obj)
        answer = self._answers.get(call, obj)
        if isinstance(answer, ClientError):
            raise answer
        return {**answer, "metadata": {**answer["metadata"], "resourceVersion": str(len(self.calls))}}


def a_copy(namespace: str = "shop", **changes: Any) -> Object:
    return {**build_copy(PUBLICATION, namespace), **changes}


def live(namespace: str = "shop", **changes: Any) -> Object:
    copy = a_copy(namespace, **changes)
    return {**copy, "metadata": {**copy["metadata"], "uid": f"uid-in-{namespace}"}}


def shared(kube: Kube, sharing: Sharing, mirror: Mirror | None = None) -> dict[str, Fault]:
    return asyncio.run(share(sharing, cast("KubeClient", kube), mirror or Mirror()))


def test_copies_are_made_before_others_go_and_the_mirror_knows_of_both() -> None:
    kube, mirror = Kube(), Mirror()
    mirror.put({**live("till"), "metadata": {**live("till")["metadata"], "resourceVersion": "1"}})

    assert {} == shared(kube, Sharing(create=(a_copy(),), delete=(live("till"),)), mirror)
    assert [("create", "shop"), ("delete", "till")] == kube.calls
    assert "uid-in-till" == kube.sent[1]["metadata"]["uid"]
    assert ["shop"] == [obj["metadata"]["namespace"] for obj in mirror.of(KEY)]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (
            NameConflict("ConfigMap 'bge-milvus'"),
            (Reason.COPY_REFUSED, "ConfigMap 'bge-milvus' exists there and is not ours; it was not touched"),
        ),
        (ApiRejected("failed to POST: 403 no"), (Reason.COPY_REFUSED, "failed to POST: 403 no")),
        (ObjectInvalid("too large"), (Reason.COPY_REFUSED, "too large")),
        (NamespaceTerminating("it is going"), (Reason.COPY_REFUSED, "it is going")),
        (NotFound("failed to POST: 404"), (Reason.NAMESPACE_MISSING, "it does not exist")),
    ],
)
def test_a_place_that_refuses_is_told_and_stops_no_other(error: ClientError, fault: Fault) -> None:
    kube = Kube({("create", "shop"): error})
    sharing = Sharing(create=(a_copy(), a_copy("till")), delete=(live("desk"),))

    assert {"namespace shop": fault} == shared(kube, sharing)
    assert [("create", "shop"), ("create", "till"), ("delete", "desk")] == kube.calls


def test_why_a_namespace_takes_none_is_told_beside_what_was_refused() -> None:
    not_agreed: Fault = (Reason.NAMESPACE_NOT_OPTED_IN, "its annotation does not name search")
    kube = Kube({("create", "shop"): ApiRejected("403")})
    found = shared(kube, Sharing(create=(a_copy(),), faults={"namespace till": not_agreed}))

    assert {"namespace till": not_agreed, "namespace shop": (Reason.COPY_REFUSED, "403")} == found


def test_an_api_server_that_does_not_answer_ends_the_round() -> None:
    with pytest.raises(ApiUnavailable):
        shared(Kube({("create", "shop"): ApiUnavailable("503")}), Sharing(create=(a_copy(), a_copy("till"))))


def test_a_copy_that_was_there_unknown_to_the_operator_is_brought_up_to_date() -> None:
    kube = Kube({("create", "shop"): live(data={"params.json": "{}"})})

    assert {} == shared(kube, Sharing(create=(a_copy(),)))
    assert [("create", "shop"), ("update", "shop")] == kube.calls
    assert ("uid-in-shop", PUBLICATION["data"]) == (kube.sent[1]["metadata"]["uid"], kube.sent[1]["data"])


def test_a_copy_that_is_there_and_right_is_not_written_again() -> None:
    kube = Kube({("create", "shop"): live()})

    assert {} == shared(kube, Sharing(create=(a_copy(),)))
    assert [("create", "shop")] == kube.calls


@pytest.mark.parametrize("error", [NotFound("404"), AlreadyExists("409: the uid is another one")])
def test_a_copy_that_went_since_it_was_seen_is_made_anew(error: ClientError) -> None:
    kube = Kube({("update", "shop"): error})

    assert {} == shared(kube, Sharing(update=(live(),)))
    assert [("update", "shop"), ("create", "shop")] == kube.calls
    assert "uid" not in kube.sent[1]["metadata"]


def test_what_took_the_place_of_a_copy_since_it_was_seen_is_not_touched() -> None:
    conflict = NameConflict("ConfigMap 'bge-milvus'")
    kube = Kube({("update", "shop"): AlreadyExists("409"), ("create", "shop"): conflict})
    reason, detail = shared(kube, Sharing(update=(live(),)))["namespace shop"]

    assert Reason.COPY_REFUSED is reason
    assert "it was not touched" in detail


def test_the_secret_is_not_kept_because_nothing_would_tell_of_its_changes() -> None:
    mirror = Mirror()

    assert {} == shared(Kube(), Sharing(create=(SECRET,)), mirror)
    assert [] == mirror.of(KEY)


def test_a_missing_right_to_secrets_names_the_value_of_the_chart_that_gives_it() -> None:
    found = shared(Kube({("create", "search"): ApiRejected("403")}), Sharing(create=(SECRET,)))
    refused = shared(Kube({("create", "search"): ObjectInvalid("too large")}), Sharing(create=(SECRET,)))

    told = "403 (a Secret needs publish.serviceBindings of the chart)"
    assert {"Secret bge-binding": (Reason.COPY_REFUSED, told)} == found
    assert {"Secret bge-binding": (Reason.COPY_REFUSED, "too large")} == refused
