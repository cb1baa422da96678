"""Words of Milvus, as they were recorded or read; Milvus Lite cannot say them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.milvus_words import reason_of

RECORDED: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "recordings" / "milvus-errors.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("said", RECORDED, ids=[f"{said['from']} {said['reason']}" for said in RECORDED])
def test_a_recorded_error_has_its_reason(said: dict[str, Any]) -> None:
    assert Reason(said["reason"]) is reason_of(said["stage"], said["text"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('Cohere API error 401: {"error":"Unauthorized"}', Reason.CREDENTIAL_REFUSED),
        ("Cohere API connection error: [Errno 111] Connection refused", Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS),
        ("Cohere API error 404: {}", Reason.MILVUS_ERROR),
        ("Unknown rerank provider: 'vllm'. Supported: 'cohere'", Reason.MILVUS_ERROR),
    ],
)
def test_milvus_lite_has_words_of_its_own(text: str, reason: Reason) -> None:
    assert reason is reason_of("search", text)


def test_what_only_a_search_can_say_is_not_looked_for_before() -> None:
    text = 'Call service failed, errs:[Post "http://10.1.2.3:8000/rerank": context deadline exceeded]'

    assert Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS is reason_of("search", text)
    assert Reason.MILVUS_TOO_SLOW is reason_of("create", text)
