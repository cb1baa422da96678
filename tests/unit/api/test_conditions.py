"""Reasons and their remedies."""

from rerank_operator.api.conditions import MAX_MESSAGE_LENGTH, Condition, ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason

GOOD = {
    Reason.ACCEPTED,
    Reason.ENGINE_AVAILABLE,
    Reason.ENGINE_STARTING,
    Reason.SUSPENDED,
    Reason.FREEING_ACCELERATOR,
    Reason.WAITING_FOR_NODE,
    Reason.AUTOSCALER_ACTIVE,
    Reason.CHECKING_MILVUS,
    Reason.COPIES_PUBLISHED,
    Reason.EXTERNAL_ENDPOINT,
    Reason.MILVUS_VERIFIED,
    Reason.RERANK_VERIFIED,
    Reason.VERIFYING,
    Reason.RESTARTING_POD,
    Reason.CONFIG_PUBLISHED,
    Reason.WAITING_FOR_VERIFICATION,
    Reason.READY,
}


def test_every_reason_has_a_meaning_and_every_fault_a_remedy() -> None:
    assert set(Reason) == set(MEANINGS)
    assert set(Reason) - GOOD == {reason for reason, meaning in MEANINGS.items() if meaning.remedy}


def test_a_message_is_what_was_seen_and_then_the_remedy() -> None:
    condition = Condition(ConditionType.READY, "False", Reason.ENGINE_ERROR, "POST /rerank answered 500")

    assert f"POST /rerank answered 500. {MEANINGS[Reason.ENGINE_ERROR].remedy}" == condition.message


def test_a_long_message_is_cut_before_the_remedy() -> None:
    message = Condition(ConditionType.READY, "False", Reason.ENGINE_ERROR, "x" * 5000).message

    assert len(message) <= MAX_MESSAGE_LENGTH
    assert message.endswith(MEANINGS[Reason.ENGINE_ERROR].remedy)
