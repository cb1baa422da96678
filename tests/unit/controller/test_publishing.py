"""What is published, and what has to answer right before."""

import dataclasses
import json

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.controller.decisions import Scope
from rerank_operator.controller.pods import Object
from rerank_operator.controller.publishing import UNREACHABLE_TRIES, Publishing, plan_publishing
from rerank_operator.controller.values import MilvusRecord, Observed, Record, subject_of
from rerank_operator.rerank.verdict import RIGHT, Verdict
from rerank_operator.resources.allowed_hosts import AllowedHosts
from tests.builders import AT, a_resource, changed, hash_of, names_of, observed, serving

OUTSIDE = "http://rerank.example.com"
ELSEWHERE = {"publish": {"endpoint": OUTSIDE}}
OPEN = AllowedHosts(("rerank.example.com", "milvus.example.com"))
CONNECTION = {"uri": "http://milvus.example.com:19530"}


def planned(seen: Observed) -> Publishing:
    return plan_publishing(seen, dict(seen.revisions))


def elsewhere(verdict: Verdict | None, failures: int = 0, **spec: object) -> Observed:
    """A reranker that serves, whose published address is to become another one, which answered like this."""
    seen = dataclasses.replace(changed(serving(), **ELSEWHERE, **spec), hosts=OPEN)
    if verdict is None:
        return seen
    subject = subject_of(seen.key, seen.desired, OUTSIDE)
    return dataclasses.replace(seen, records={**seen.records, subject: Record(verdict, failures, AT + 5)})


def endpoint_of(objects: tuple[Object, ...]) -> str:
    (config_map,) = (o for o in objects if o["kind"] == "ConfigMap")
    return str(config_map["data"]["RERANK_ENDPOINT"])


def external(verdict: Verdict | None = None) -> Observed:
    seen = observed(a_resource(external={"endpoint": OUTSIDE}))
    if verdict is None:
        return seen
    return dataclasses.replace(seen, records={subject_of(seen.key, seen.desired, OUTSIDE): Record(verdict)})


def with_milvus(record: MilvusRecord | None = None, **milvus: object) -> Observed:
    return dataclasses.replace(changed(serving(), milvus={"connection": CONNECTION, **milvus}), milvus=record)


def test_what_is_published_is_left_alone() -> None:
    assert Publishing() == planned(serving())


def test_another_address_is_asked_everything_before_it_is_published() -> None:
    found = planned(elsewhere(None))

    assert () == found.objects
    (target,) = found.verify
    assert (OUTSIDE, Scope.EVERYTHING) == (target.endpoint.base_url, target.scope)


def test_an_address_that_is_right_is_published_and_asked_again_later() -> None:
    found = planned(elsewhere(RIGHT))

    assert OUTSIDE == endpoint_of(found.objects)
    assert ((), AT + 5) == (found.verify, found.look_again_at)


@pytest.mark.parametrize(
    ("reason", "failures", "is_published"),
    [
        (Reason.RERANK_ROUTE_MISSING, 50, False),
        (Reason.ENDPOINT_UNREACHABLE, UNREACHABLE_TRIES - 1, False),
        (Reason.ENDPOINT_UNREACHABLE, UNREACHABLE_TRIES, True),
        (Reason.ENGINE_UNRESPONSIVE, UNREACHABLE_TRIES, True),
    ],
)
def test_a_wrong_answer_keeps_an_address_back_and_none_at_all_only_for_a_while(
    reason: Reason, failures: int, is_published: bool
) -> None:
    assert is_published == bool(planned(elsewhere(Verdict(reason, "seen"), failures)).objects)


def test_an_address_that_may_not_be_called_is_published_uncalled() -> None:
    found = planned(dataclasses.replace(elsewhere(None), hosts=AllowedHosts()))

    assert OUTSIDE == endpoint_of(found.objects)
    assert () == found.verify


def test_a_new_address_of_the_cluster_itself_needs_no_further_question() -> None:
    found = planned(changed(serving(), service={"port": 9000}))

    assert ["Service", "ConfigMap"] == [kind for kind, _ in names_of(found.objects)]
    assert () == found.verify


def test_a_load_balancer_without_an_address_is_waited_for() -> None:
    found = planned(changed(serving(), service={"type": "LoadBalancer"}))

    assert [("Service", "bge")] == names_of(found.objects)


def test_without_verification_an_address_is_not_asked() -> None:
    found = planned(elsewhere(None, verification={"mode": "Disabled"}))

    assert OUTSIDE == endpoint_of(found.objects)
    assert () == found.verify


def test_an_external_server_is_published_when_it_is_right_and_has_no_service() -> None:
    assert Publishing() == planned(external())
    assert Publishing() == planned(external(Verdict(Reason.RANKING_WRONG)))

    found = planned(external(RIGHT))
    assert [("ConfigMap", "bge-milvus")] == names_of(found.objects)
    assert OUTSIDE == endpoint_of(found.objects)


def test_milvus_is_asked_once_for_what_is_published() -> None:
    first = planned(with_milvus())
    assert first.milvus is not None
    assert first.milvus_identity == first.milvus.identity
    assert json.loads(first.milvus.data["function.json"])["params"]["provider"] == "vllm"

    known = MilvusRecord(first.milvus.identity, Reason.MILVUS_VERIFIED, ask_again_at=AT + 60)
    again = planned(with_milvus(known))
    assert (None, AT + 60) == (again.milvus, again.look_again_at)
    due = planned(with_milvus(dataclasses.replace(known, ask_again_at=AT)))
    assert due.milvus is not None


def test_milvus_is_asked_anew_for_another_connection_or_other_params() -> None:
    first = planned(with_milvus()).milvus_identity
    other = {"uri": "http://milvus.example.com:29530"}

    assert first != planned(with_milvus(connection=other)).milvus_identity
    assert first != planned(with_milvus(inputField="body")).milvus_identity


def test_with_require_verified_nothing_new_is_published_before_milvus_reranked() -> None:
    before = planned(with_milvus(requireVerified=True, inputField="body"))
    assert before.milvus is not None
    assert () == before.objects

    failed = MilvusRecord(before.milvus.identity, Reason.PROVIDER_DISABLED, ask_again_at=AT + 60)
    assert () == planned(with_milvus(failed, requireVerified=True, inputField="body")).objects
    right = dataclasses.replace(failed, reason=Reason.MILVUS_VERIFIED)
    assert [("ConfigMap", "bge-milvus")] == names_of(
        planned(with_milvus(right, requireVerified=True, inputField="body")).objects
    )


def test_without_require_verified_milvus_keeps_nothing_back() -> None:
    failed = MilvusRecord("another", Reason.MILVUS_UNREACHABLE, ask_again_at=AT + 60)

    assert [("ConfigMap", "bge-milvus")] == names_of(planned(with_milvus(failed, inputField="body")).objects)


def test_what_milvus_says_of_its_version_decides_what_only_some_versions_know() -> None:
    record = MilvusRecord("x", Reason.MILVUS_VERIFIED, version="2.6.6")
    (old,) = planned(with_milvus(record, timeoutMilliseconds=5000, inputField="body")).objects
    (new,) = planned(
        with_milvus(dataclasses.replace(record, version="3.0.1"), timeoutMilliseconds=5000, inputField="body")
    ).objects

    assert "timeout_ms" not in json.loads(old["data"]["params.json"])
    assert 5000 == json.loads(new["data"]["params.json"])["timeout_ms"]


def test_without_a_pod_neither_the_address_nor_milvus_is_asked() -> None:
    for spec in (ELSEWHERE, {"milvus": {"connection": CONNECTION}}):
        suspended = dataclasses.replace(changed(serving(), suspend=True, **spec), pods=(), hosts=OPEN)
        found = planned(suspended)
        assert ((), None) == (found.verify, found.milvus)


def test_a_revision_is_another_one_for_an_external_server() -> None:
    assert hash_of() != hash_of(external={"endpoint": OUTSIDE})
