"""What the init containers of a model pod leave for the kubelet, whole and broken."""

import json

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.step_words import read_step, read_warning

SEEN = "check-model ended (Error, exit code 1)"
REFUSAL = json.dumps({"reason": "NotAReranker", "detail": "a classifier of 2 labels"})


def test_a_refusal_is_taken_at_its_word() -> None:
    assert (Reason.NOT_A_RERANKER, "a classifier of 2 labels") == read_step(REFUSAL, SEEN)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("", "it said nothing"),
        ("Traceback (most recent call last):\n  File x\nOSError: [Errno 5] Input/output error\n", "OSError: [Errno 5]"),
        (REFUSAL[:-10], "a classifier of"),
        (json.dumps({"reason": "NoSuchReason", "detail": "x"}), "NoSuchReason"),
        (json.dumps({"reason": "NotAReranker"}), "NotAReranker"),
        (json.dumps(["NotAReranker", "x"]), "NotAReranker"),
        ("null", "null"),
    ],
)
def test_a_step_that_did_not_come_to_say_why_crashed(message: str, told: str) -> None:
    reason, detail = read_step(message, SEEN)

    assert Reason.CRASH_LOOPING is reason
    assert detail.startswith(f"{SEEN}: ")
    assert told in detail


def test_two_crashes_that_are_alike_read_alike() -> None:
    told = {read_step(f"TypeError: <object at 0x{address}>", SEEN) for address in ("7f01", "7f02")}
    assert 1 == len(told)


@pytest.mark.parametrize(
    ("message", "warning"),
    [
        (json.dumps({"family": "bert", "warning": ""}), ""),
        (json.dumps({"family": "seq-cls-llm", "warning": "It is a language model"}), "It is a language model"),
        (json.dumps({"family": "bert"}), ""),
        (json.dumps({"family": "bert", "warning": None}), ""),
        ("", ""),
        ("[]", ""),
        ("org/model is in /models", ""),
    ],
)
def test_what_a_step_warns_of(message: str, warning: str) -> None:
    assert warning == read_warning(message)
