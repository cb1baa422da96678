"""Which pods are asked, how much, and which one is restarted."""

import dataclasses
import json
from typing import Any

import pytest

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments
from rerank_operator.controller.decisions import Scope
from rerank_operator.controller.pods import Pod
from rerank_operator.controller.times import rfc3339
from rerank_operator.controller.values import Observed, Record
from rerank_operator.controller.verification import Verification, plan_verification, questions_of
from rerank_operator.rerank.questions import questions_in
from rerank_operator.rerank.verdict import Verdict
from tests.builders import AT, NOW, a_pod, a_reranker, changed, deployed, hash_of, serving, with_candidate

BASE = {"model": {"name": "BAAI/bge-reranker-base"}}
HANGS = Verdict(Reason.ENGINE_UNRESPONSIVE, "no answer within 30 s")
CONSTANT = Verdict(Reason.SCORES_CONSTANT, "0.5 for all")


def decided(seen: Observed) -> Verification:
    return plan_verification(seen, seen.revisions)


def asked(seen: Observed) -> list[tuple[str, Scope]]:
    return [(target.subject, target.scope) for target in decided(seen).targets]


def engine(*, ready: bool, started: bool, since: str = NOW, name: str = "pod-1") -> Pod:
    """A pod whose engine runs since then."""
    container = {"name": "vllm", "started": started, "ready": ready, "state": {"running": {"startedAt": since}}}
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}]
    return a_pod(hash_of(), name, ready=ready, conditions=conditions, containerStatuses=[container])


def later(seen: Observed, seconds: float) -> Observed:
    return dataclasses.replace(seen, at=AT + seconds)


def test_a_new_pod_is_asked_everything() -> None:
    (target,) = decided(deployed()).targets

    assert (Scope.EVERYTHING, "http://10.0.0.7:8000", 256, True) == (
        target.scope,
        target.endpoint.base_url,
        target.endpoint.batch,
        target.endpoint.overlong,
    )


def test_a_serving_pod_is_asked_the_questions_again_when_its_time_has_come_for_ever() -> None:
    assert ([], AT + 300) == (asked(serving()), decided(serving()).look_again_at)
    assert [("uid-of-pod-1", Scope.AGAIN)] == asked(later(serving(), 300))


def test_the_active_pods_are_asked_while_a_candidate_is_on_its_way() -> None:
    candidate = deployed(2, pods=(), **BASE)
    seen = with_candidate(changed(serving(), **BASE), candidate)

    assert [("uid-of-pod-1", Scope.AGAIN)] == asked(later(seen, 300))


def test_a_batch_and_an_overlong_document_are_measured_on_one_pod_only() -> None:
    pods = tuple(a_pod(hash_of(replicas=2), name) for name in ("pod-1", "pod-2"))
    first, second = decided(deployed(pods=pods, replicas=2)).targets

    assert [(256, True), (0, False)] == [(t.endpoint.batch, t.endpoint.overlong) for t in (first, second)]


def test_after_a_restart_of_the_operator_an_overlong_document_is_not_sent_again() -> None:
    seen = dataclasses.replace(serving(), records={})
    seen.resource["status"] = {"verification": {"overlongDocuments": "Truncated"}, "activeRevision": hash_of()}
    (target,) = decided(seen).targets

    assert (Scope.EVERYTHING, 0, False) == (target.scope, target.endpoint.batch, target.endpoint.overlong)


def test_what_failed_with_an_overlong_document_is_asked_with_one_again() -> None:
    seen = deployed()
    rejected = Record(Verdict(Reason.OVERLONG_DOCUMENT_REJECTED), 1, AT, overlong=OverlongDocuments.REJECTED)
    (target,) = decided(dataclasses.replace(seen, records={"uid-of-pod-1": rejected})).targets

    assert (Scope.EVERYTHING, True) == (target.scope, target.endpoint.overlong)


def test_with_verification_disabled_nobody_is_asked() -> None:
    assert Verification() == decided(later(serving(verification={"mode": "Disabled"}), 1000))


def test_an_engine_that_starts_is_asked_one_question_now_and_then() -> None:
    seen = deployed(pods=(engine(ready=False, started=False),))

    assert ([], AT + 15) == (asked(seen), decided(seen).look_again_at)
    assert [("uid-of-pod-1", Scope.EARLY)] == asked(later(seen, 15))


def test_an_early_answer_says_when_to_ask_again() -> None:
    seen = deployed(pods=(engine(ready=False, started=False),))
    seen = dataclasses.replace(seen, early={"uid-of-pod-1": Record(HANGS, 1, AT + 40)})

    assert ([], AT + 40) == (asked(later(seen, 20)), decided(later(seen, 20)).look_again_at)


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(hash_of(), ready=False),
        a_pod(hash_of(), ready=False, containerStatuses=[{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]),
    ],
)
def test_a_pod_without_a_running_engine_is_not_asked(pod: Pod) -> None:
    assert [] == asked(later(deployed(pods=(pod,)), 1000))


def test_the_timeout_and_the_interval_are_those_of_the_spec() -> None:
    (target,) = decided(deployed(verification={"timeoutSeconds": 7, "intervalSeconds": 60})).targets

    assert (7, 60) == (target.endpoint.timeout, target.interval)


QUESTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "languages of the catalog": ({"model": {"name": "cross-encoder/ms-marco-MiniLM-L6-v2"}}, ("en",)),
    "English for a model that nobody knows": ({"model": {"name": "a/b"}}, ("en",)),
    "languages of the spec": ({"verification": {"languages": ["ja", "de"]}}, ("ja", "de")),
}


@pytest.mark.parametrize(("spec", "languages"), QUESTIONS.values(), ids=QUESTIONS)
def test_questions_are_asked_in_the_languages_that_the_model_should_know(
    spec: dict[str, Any], languages: tuple[str, ...]
) -> None:
    assert questions_in(languages) == questions_of(a_reranker(**spec).spec)


def test_own_cases_replace_the_questions() -> None:
    case = {"query": "How to return?", "documents": ["Refunds take a week.", "We ship on Mondays."], "best": 0}
    (question,) = questions_of(a_reranker(verification={"cases": [case]}).spec)

    assert ("How to return?", ("Refunds take a week.", "We ship on Mondays."), 0) == (
        question.query,
        question.documents,
        question.best,
    )


def failing(failures: int = 3, pod: Pod | None = None, **spec: Any) -> Observed:
    """A reranker whose only pod served and went wrong."""
    pod = pod or engine(ready=True, started=True)
    seen = dataclasses.replace(serving(**spec), pods=(pod,))
    record = Record(CONSTANT if pod.ready else HANGS, failures, AT + 60)
    known = {pod.uid: record}
    return dataclasses.replace(seen, records=known) if pod.ready else dataclasses.replace(seen, early=known)


def restarted(seen: Observed) -> str | None:
    restart = decided(seen).restart
    return restart.pod.name if restart else None


def with_restarts(seen: Observed, count: int, seconds_ago: float) -> Observed:
    deployment = seen.deployments[hash_of()]
    remembered = json.dumps({"count": count, "at": rfc3339(AT - seconds_ago)})
    deployment["metadata"].setdefault("annotations", {})[names.ANNOTATION_RESTARTS] = remembered
    return seen


def test_a_pod_that_went_wrong_and_stays_wrong_is_restarted() -> None:
    assert None is restarted(failing(2))
    assert "pod-1" == restarted(failing(3))
    assert {"count": 1, "at": NOW} == json.loads(decided(failing(3)).annotations[names.ANNOTATION_RESTARTS])


def test_a_frozen_pod_that_kubelet_took_out_of_service_is_restarted_too() -> None:
    assert "pod-1" == restarted(failing(3, engine(ready=False, started=True)))


def test_a_pod_that_has_never_served_is_not_restarted() -> None:
    assert None is restarted(failing(9, engine(ready=False, started=False)))


def test_with_report_nothing_is_restarted() -> None:
    assert None is restarted(failing(9, verification={"onFailure": "Report"}))


def test_a_foreign_pod_with_our_labels_is_never_deleted() -> None:
    foreign = dataclasses.replace(engine(ready=True, started=True), replica_set="somebody-elses-5c4d")

    assert None is restarted(failing(9, foreign))


def test_the_threshold_is_that_of_the_spec() -> None:
    assert "pod-1" == restarted(failing(1, verification={"failureThreshold": 1}))


def test_a_candidate_on_its_way_puts_restarts_off() -> None:
    seen = failing(9)

    assert None is restarted(with_candidate(changed(seen, **BASE), deployed(2, pods=(), **BASE)))


@pytest.mark.parametrize(
    "other",
    [
        None,
        a_pod(hash_of(), "pod-2", ready=False),
        dataclasses.replace(a_pod(hash_of(), "pod-2"), terminating=True, gone_by=AT),
    ],
    ids=["missing", "not ready", "on its way out"],
)
def test_never_more_than_one_pod_is_away(other: Pod | None) -> None:
    seen = failing(9, replicas=2)

    assert None is restarted(dataclasses.replace(seen, pods=(*seen.pods, *([other] if other else []))))


def test_of_several_wrong_pods_one_is_restarted() -> None:
    seen = failing(9, replicas=2)
    other = engine(ready=True, started=True, name="pod-2")
    records = {**seen.records, other.uid: Record(CONSTANT, 9)}

    assert "pod-1" == restarted(dataclasses.replace(seen, pods=(*seen.pods, other), records=records))


@pytest.mark.parametrize(
    ("count", "seconds_ago", "restarts_now", "wait"),
    [(1, 59, False, 1), (1, 60, True, 0), (2, 60, False, 60), (9, 3599, False, 1), (9, 7 * 3600, True, 0)],
)
def test_each_restart_waits_longer_than_the_one_before(
    count: int, seconds_ago: float, restarts_now: bool, wait: float
) -> None:
    seen = with_restarts(failing(9), count, seconds_ago)

    assert restarts_now == (restarted(seen) is not None)
    if not restarts_now:
        assert AT + wait == decided(seen).look_again_at


def test_after_hours_without_a_restart_the_pauses_begin_anew() -> None:
    remembered = decided(with_restarts(failing(9), 9, 7 * 3600)).annotations[names.ANNOTATION_RESTARTS]

    assert 1 == json.loads(remembered)["count"]
