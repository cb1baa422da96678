"""Words of Milvus, as they were recorded or read; Milvus Lite cannot say them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.milvus_words import certificate_hint, reason_of

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


ENDED = [said["text"] for said in RECORDED if said.get("certificate") == "wanted"]
UNUSABLE = [said["text"] for said in RECORDED if said.get("certificate") == "unusable"]


@pytest.mark.parametrize("text", ENDED)
def test_a_connection_that_a_server_ends_may_be_for_want_of_a_certificate(text: str) -> None:
    assert certificate_hint(text, is_shown=False).startswith(
        "If Milvus asks for a client certificate (tlsMode 2), set "
    )
    assert certificate_hint(text, is_shown=True).startswith("Milvus may refuse the certificate of ")


@pytest.mark.parametrize("text", UNUSABLE)
def test_a_certificate_that_cannot_be_used_is_told_with_its_field(text: str) -> None:
    assert "spec.milvus.connection.tls.caBundle must be PEM" == certificate_hint(text, is_shown=False)
    assert "clientSecretRef must be PEM and a pair" in certificate_hint(text, is_shown=True)


@pytest.mark.parametrize("text", [said["text"] for said in RECORDED if "certificate" not in said])
def test_nothing_is_said_of_certificates_where_the_error_is_another(text: str) -> None:
    assert not certificate_hint(text, is_shown=False)
