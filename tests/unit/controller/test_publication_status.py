"""What the conditions say of a publication, of Milvus, and of an external server."""

import dataclasses
from typing import Any

import pytest

from rerank_operator.api.conditions import Condition, ConditionType
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.publication_status import (
    config_published,
    copies_published,
    further_status,
    milvus_verified,
)
from rerank_operator.controller.status import judge_conditions
from rerank_operator.controller.values import MilvusRecord, Observed, Record, subject_of
from rerank_operator.rerank.verdict import RIGHT, Verdict
from rerank_operator.resources.allowed_hosts import AllowedHosts
from rerank_operator.resources.publication_copy import build_copy
from tests.builders import a_resource, changed, deployed, observed, serving
from tests.produces import produces

OUTSIDE = "http://rerank.example.com"
URI = "http://milvus.example.com:19530"
CONNECTED = {"milvus": {"connection": {"uri": URI}}}
GATEWAY = {"route": {"hostname": "rerank.example.com", "gateway": {"name": "public"}}}


def milvus_of(seen: Observed) -> tuple[str, Reason] | None:
    condition = milvus_verified(seen)
    return None if condition is None else (condition.status, condition.reason)


def published_of(seen: Observed) -> tuple[str, Reason]:
    condition = config_published(seen)
    return condition.status, condition.reason


def ready_of(seen: Observed) -> Condition:
    return next(c for c in judge_conditions(seen) if c.type is ConditionType.READY)


def answered(record: MilvusRecord | None, **spec: Any) -> Observed:
    return dataclasses.replace(changed(serving(), **{**CONNECTED, **spec}), milvus=record, milvus_identity="now")


def at_outside(verdict: Verdict, failures: int = 1) -> Observed:
    seen = dataclasses.replace(changed(serving(), publish={"endpoint": OUTSIDE}), hosts=AllowedHosts((OUTSIDE[7:],)))
    return dataclasses.replace(
        seen, records={**seen.records, subject_of(seen.key, seen.desired, OUTSIDE): Record(verdict, failures)}
    )


def test_nobody_hears_of_milvus_who_did_not_ask() -> None:
    assert None is milvus_of(serving())
    assert None is milvus_of(changed(serving(), milvus={"version": "2.6.6"}))


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.MILVUS_VERIFIED, "True"),
        (Reason.SEARCH_NOT_CHECKED, "Unknown"),
        (Reason.PROVIDER_DISABLED, "False"),
        (Reason.MILVUS_UNREACHABLE, "False"),
    ],
)
def test_what_milvus_said_is_the_condition(reason: Reason, status: str) -> None:
    assert (status, reason) == milvus_of(answered(MilvusRecord("now", reason)))


def test_what_was_said_of_another_publication_does_not_count() -> None:
    assert ("Unknown", Reason.CHECKING_MILVUS) == milvus_of(answered(MilvusRecord("then", Reason.MILVUS_VERIFIED)))
    assert ("Unknown", Reason.CHECKING_MILVUS) == milvus_of(answered(None))


@produces(Reason.SERVER_TOO_OLD, by="text")
def test_a_version_that_ignores_rerankers_is_named_without_a_connection() -> None:
    old = changed(serving(), milvus={"version": "v2.5.14"})
    keyed = changed(serving(), milvus={"version": "2.6.0"}, access={"bearerSecretRef": {"name": "keys"}})

    assert ("False", Reason.SERVER_TOO_OLD) == milvus_of(old)
    assert ("False", Reason.SERVER_TOO_OLD) == milvus_of(keyed)
    assert "v2.5.14" in (milvus_verified(old) or ready_of(old)).message


def test_after_a_restart_the_condition_stays_until_milvus_has_been_asked() -> None:
    before = {"type": "MilvusVerified", "status": "True", "reason": "MilvusVerified", "message": "Milvus 2.6.6: fine"}
    seen = answered(None)
    status = {"conditions": [{**before, "observedGeneration": seen.resource["metadata"]["generation"]}]}
    restarted = dataclasses.replace(seen, resource={**seen.resource, "status": status})
    edited = dataclasses.replace(
        restarted, resource={**restarted.resource, "metadata": {**seen.resource["metadata"], "generation": 9}}
    )

    assert ("True", Reason.MILVUS_VERIFIED) == milvus_of(restarted)
    assert "Milvus 2.6.6: fine" == (milvus_verified(restarted) or ready_of(seen)).message
    assert ("Unknown", Reason.CHECKING_MILVUS) == milvus_of(edited)


def test_milvus_keeps_nobody_from_being_ready_unless_that_is_asked_for() -> None:
    record = MilvusRecord("now", Reason.PROVIDER_DISABLED)
    assert Reason.READY is ready_of(answered(record)).reason

    waiting = dataclasses.replace(deployed(milvus=CONNECTED["milvus"]), milvus=record, milvus_identity="now")
    waiting = dataclasses.replace(waiting, records={pod.uid: Record(RIGHT) for pod in waiting.pods})
    required = changed(waiting, milvus={**CONNECTED["milvus"], "requireVerified": True})
    assert ("False", Reason.WAITING_FOR_MILVUS) == published_of(required)


def test_the_version_that_milvus_told_is_in_the_status_and_stays_there() -> None:
    told = further_status(answered(MilvusRecord("now", Reason.MILVUS_VERIFIED, version="2.6.6")))
    assert {"version": "2.6.6"} == told["milvus"]

    seen = answered(None)
    later = dataclasses.replace(seen, resource={**seen.resource, "status": told})
    assert {"version": "2.6.6"} == further_status(later)["milvus"]


def test_an_address_that_is_wrong_is_named_and_one_out_of_reach_is_a_note() -> None:
    wrong = at_outside(Verdict(Reason.RERANK_ROUTE_MISSING, "POST /rerank answered 404"))
    assert ("False", Reason.PUBLISHED_ADDRESS_WRONG) == published_of(wrong)
    assert "404" in config_published(wrong).message

    away = at_outside(Verdict(Reason.ENDPOINT_UNREACHABLE, "no answer"), failures=4)
    assert ("True", Reason.CONFIG_PUBLISHED) == published_of(away)
    assert f"cannot reach {OUTSIDE}" in config_published(away).message


def test_a_load_balancer_without_an_address_and_a_missing_gateway_api_are_waited_for() -> None:
    assert ("False", Reason.WAITING_FOR_ADDRESS) == published_of(changed(serving(), service={"type": "LoadBalancer"}))
    assert ("False", Reason.GATEWAY_API_MISSING) == published_of(changed(serving(), **GATEWAY))
    installed = dataclasses.replace(changed(serving(), **GATEWAY), gateway_api_installed=True)
    assert ("True", Reason.CONFIG_PUBLISHED) == published_of(installed)


def test_an_external_server_is_judged_by_its_answers() -> None:
    seen = observed(a_resource(external={"endpoint": OUTSIDE}))
    assert (Reason.VERIFYING, "False") == (ready_of(seen).reason, ready_of(seen).status)

    subject = subject_of(seen.key, seen.desired, OUTSIDE)
    wrong = dataclasses.replace(seen, records={subject: Record(Verdict(Reason.RANKING_WRONG, "scored badly"))})
    assert Reason.RANKING_WRONG is ready_of(wrong).reason
    assert ready_of(wrong).message.startswith(f"{OUTSIDE}: scored badly.")


def test_copies_are_told_of_only_when_they_are_there() -> None:
    before = changed(serving(), publish={"namespaces": ["shop", "search"], "serviceBinding": True})
    copies = (build_copy(before.publications[0], "shop"),)
    binding = {"kind": "Secret", "metadata": {"name": "bge-binding"}}
    told = [
        copies_published(dataclasses.replace(before, **parts))
        for parts in ({}, {"copies": copies}, {"copies": copies, "binding": binding})
    ]

    assert ["Unknown", "Unknown", "True"] == [condition.status for condition in told if condition]
    assert "namespace shop, Secret bge-binding" in (told[0].message if told[0] else "")
    assert None is copies_published(changed(serving()))
