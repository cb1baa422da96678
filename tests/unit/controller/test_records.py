"""What one more finding makes of what is known of a pod."""

import dataclasses

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments
from rerank_operator.controller.decisions import Scope, Target
from rerank_operator.controller.records import next_record
from rerank_operator.controller.values import Key, Record
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.finding import Endpoint, Finding
from rerank_operator.rerank.verdict import RIGHT, Verdict
from tests.builders import AT

TARGET = Target(Key("search", "bge"), "uid-of-pod", Scope.AGAIN, Endpoint("http://10.0.0.7:8000", "m", ()), None, 100)
GOOD = Record(RIGHT, 0, AT, Batch(256, 256), 0.02, (0.002, 0.998), OverlongDocuments.TRUNCATED)
HANGS = Finding(Verdict(Reason.ENGINE_UNRESPONSIVE, "no answer within 30 s"))


def wrong(scores: str) -> Finding:
    return Finding(Verdict(Reason.RANKING_WRONG, f"scored {scores}"))


def test_a_right_pod_is_asked_again_within_its_interval_but_not_all_in_the_same_second() -> None:
    pods = [dataclasses.replace(TARGET, subject=f"uid-{number}") for number in range(50)]
    times = {next_record(None, Finding(RIGHT), pod, AT).ask_again_at for pod in pods}

    assert all(AT + 80 <= time <= AT + 100 for time in times)
    assert len(times) > 40


@pytest.mark.parametrize("reason", [Reason.ENGINE_UNRESPONSIVE, Reason.ENDPOINT_UNREACHABLE, Reason.ENGINE_ERROR])
def test_one_missing_answer_of_a_pod_that_was_right_is_not_yet_a_verdict_and_the_second_is(reason: Reason) -> None:
    finding = Finding(Verdict(reason))
    once = next_record(GOOD, finding, TARGET, AT)
    twice = next_record(once, finding, TARGET, AT)

    assert (RIGHT, 1, AT + 2) == (once.verdict, once.failures, once.ask_again_at)
    assert (reason, 2) == (twice.verdict.reason, twice.failures)


def test_a_wrong_ranking_counts_at_once() -> None:
    assert Reason.RANKING_WRONG is next_record(GOOD, wrong("0.1"), TARGET, AT).verdict.reason


def test_a_pod_that_was_never_right_gets_no_second_chance() -> None:
    assert Reason.ENGINE_UNRESPONSIVE is next_record(None, HANGS, TARGET, AT).verdict.reason


def test_a_missing_answer_after_a_wrong_one_is_no_reason_to_believe_in_it_again() -> None:
    record = next_record(next_record(GOOD, wrong("0.1"), TARGET, AT), HANGS, TARGET, AT)

    assert (Reason.ENGINE_UNRESPONSIVE, 2) == (record.verdict.reason, record.failures)


def test_what_was_said_first_stays_while_the_reason_does() -> None:
    record = next_record(next_record(None, wrong("0.12"), TARGET, AT), wrong("0.13"), TARGET, AT)

    assert ("scored 0.12", 2) == (record.verdict.detail, record.failures)


def test_a_wrong_pod_is_asked_ever_more_rarely() -> None:
    record, pauses = None, []
    for _ in range(8):
        record = next_record(record, wrong("0.1"), TARGET, AT)
        pauses.append(record.ask_again_at - AT)

    assert [2, 4, 8, 16, 32, 60, 60, 60] == pauses


def test_what_was_measured_once_is_kept_when_only_questions_are_asked_again() -> None:
    record = next_record(GOOD, Finding(RIGHT, 0.03, (0.1, 0.9, 0.2)), TARGET, AT)

    assert (GOOD.batch, GOOD.overlong) == (record.batch, record.overlong)
    assert (0.03, (0.1, 0.9)) == (record.seconds, record.scores)


def test_a_pod_that_starts_is_asked_ever_more_rarely_too() -> None:
    early = dataclasses.replace(TARGET, scope=Scope.EARLY)
    refused = Finding(Verdict(Reason.ENDPOINT_UNREACHABLE))
    record, pauses = None, []
    for _ in range(12):
        record = next_record(record, refused, early, AT)
        pauses.append(record.ask_again_at - AT)

    assert sorted(pauses) == pauses
    assert (18.75, 60) == (pauses[0], pauses[-1])
