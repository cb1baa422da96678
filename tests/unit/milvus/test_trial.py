"""What a check asks, and what its answer proves."""

import dataclasses
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.milvus.trial import MilvusAnswer, MilvusRequest, Stage, is_left_behind, judge

TOKEN = "root:a-long-password"  # noqa: S105
REQUEST = MilvusRequest(
    uri="http://milvus.search.svc:19530",
    function={
        "name": "bge",
        "function_type": "RERANK",
        "input_field_names": ["text"],
        "params": {"reranker": "model", "provider": "vllm", "endpoint": "http://bge.search.svc:8000", "max_batch": 8},
    },
    lite_params={"reranker": "model", "provider": "cohere", "base_url": "http://bge.search.svc:8000/v1"},
    query="What is the capital of France?",
    documents=("Brasilia", "Paris", "Horses"),
    best=1,
    id="0a1b2c3d",
    now=1790000000.9,
    token=TOKEN,
)
RIGHT = MilvusAnswer(Stage.DONE, "2.6.6", order=(1, 0, 2), scores=(0.9, 0.2, 0.1))
KEY = "a-key-of-the-model"
LINES = ("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIB", "AQQgm9Q=")
PRIVATE = "\n".join(("-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----"))


def a_request(**changes: Any) -> MilvusRequest:
    return dataclasses.replace(REQUEST, **changes)


def an_answer(**changes: Any) -> MilvusAnswer:
    return dataclasses.replace(RIGHT, **changes)


def test_request_and_answer_travel_as_text() -> None:
    left = an_answer(left_over=("rerank_operator_check_1_a",), error="no", version=None)
    assert REQUEST == MilvusRequest.from_json(REQUEST.to_json())
    assert left == MilvusAnswer.from_json(left.to_json())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stage": "never"}', "null", '{"stage": "done", "version": null}'])
def test_another_text_is_no_answer(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        MilvusAnswer.from_json(text)


def test_secrets_are_not_shown_where_a_request_is() -> None:
    shown = repr(a_request(api_key=KEY, client_key=PRIVATE))
    assert [] == [secret for secret in (TOKEN, KEY, *LINES) if secret in shown]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"wrong token {TOKEN}", "wrong token ***"),
        ("username: root, password: a-long-password", "username: root, password: ***"),
        ("authorization cm9vdDphLWxvbmctcGFzc3dvcmQ= is wrong", "authorization *** is wrong"),
        (f"Bearer {KEY} is wrong", "Bearer *** is wrong"),
        (f"no key: {PRIVATE}", "no key: ***"),
        *((f"no key: {line}", "no key: ***") for line in LINES),
        ("-----BEGIN PRIVATE KEY----- expected", "-----BEGIN PRIVATE KEY----- expected"),
        ("permission deny to root", "permission deny to root"),
    ],
)
def test_secrets_are_taken_out_of_what_is_told(text: str, shown: str) -> None:
    assert shown == a_request(api_key=KEY, client_key=PRIVATE).without_secrets(text)


def test_a_short_password_is_taken_out_as_a_word_only() -> None:
    assert "password: ***, user abc" == a_request(token="u:a").without_secrets("password: a, user abc")  # noqa: S106


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_right_document_is_the_farthest(best: int) -> None:
    distances = a_request(best=best).distances
    assert [1.0, 2.0, 3.0] == sorted(distances)
    assert 3.0 == distances[best]


def test_a_server_gets_the_published_function_with_the_query() -> None:
    function = a_request(api_key=KEY).function_for("2.6.6")
    params = REQUEST.function["params"]
    assert {**params, "queries": [REQUEST.query]} == function["params"], "the key is in Milvus's own settings"
    assert ("bge", ["text"]) == (function["name"], function["input_field_names"])


def test_milvus_lite_gets_its_own_params_and_the_key() -> None:
    params = a_request(api_key=KEY).function_for("milvus_lite-3.2.2")["params"]
    assert {**REQUEST.lite_params, "api_key": KEY, "queries": [REQUEST.query]} == params
    assert "api_key" not in REQUEST.function_for("milvus_lite-3.2.2")["params"]


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("rerank_operator_check_1790000000_0a1b2c3d", True),
        ("rerank_operator_check_1790000500_0a1b2c3d", False),
        ("rerank_operator_check_1790009999_0a1b2c3d", False),
        ("rerank_operator_check_1790000000_", False),
        ("rerank_operator_check_results", False),
        ("rerank_operator_check_1790000000_My_Data", False),
        ("rerank_operator_check_1_0a1b2c3d", False),
        ("my_rerank_operator_check_1790000000_0a1b2c3d", False),
        ("rerank_operator_check_1790000000_0a1b2c3d\n", False),
    ],
)
def test_only_old_collections_of_checks_are_left_behind(name: str, old: bool) -> None:
    assert old is is_left_behind(name, now=1790001000.0)


def test_a_check_recognises_its_own_collection() -> None:
    assert is_left_behind(REQUEST.collection, now=REQUEST.now + 1000)
    assert not is_left_behind(REQUEST.collection, now=REQUEST.now + 800)


def test_a_reranked_search_is_right() -> None:
    reason, words = judge(REQUEST, RIGHT)
    assert (Reason.MILVUS_VERIFIED, "a search brought the right one of 3 documents to the top") == (reason, words)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (an_answer(order=(0, 2, 1), scores=(1.0, 4.0, 9.0)), Reason.RESULT_NOT_RERANKED, "order of their vectors"),
        (an_answer(order=(0, 1, 2)), Reason.RESULT_NOT_RERANKED, "document 0 came first, not the right one, 1"),
        (an_answer(order=(1, 2, 0), scores=(9.0, 4.0, 1.0)), Reason.RESULT_NOT_RERANKED, "the distances"),
        (an_answer(order=(1, 2, 0), scores=(3.0, 2.0, 1.0)), Reason.RESULT_NOT_RERANKED, "the distances"),
        (an_answer(scores=(0.1, 0.2, 0.9)), Reason.RESULT_NOT_RERANKED, "do not fall"),
        (an_answer(order=(1,), scores=(0.9,)), Reason.MILVUS_ERROR, "found 1 of 3 documents"),
        (an_answer(order=(), scores=()), Reason.MILVUS_ERROR, "found 0 of 3 documents"),
        (an_answer(order=(1, 1, 0)), Reason.MILVUS_ERROR, "found 3 of 3 documents"),
        (an_answer(version="2.5.14", order=(), scores=()), Reason.SERVER_TOO_OLD, "too old"),
    ],
)
def test_another_result_is_told(answer: MilvusAnswer, reason: Reason, words: str) -> None:
    found, told = judge(REQUEST, answer)
    assert reason is found
    assert words in told


def test_the_first_release_cannot_send_a_key() -> None:
    first = an_answer(version="2.6.0")
    assert Reason.MILVUS_VERIFIED is judge(REQUEST, first)[0]
    assert Reason.SERVER_TOO_OLD is judge(a_request(api_key=KEY), first)[0]


def test_a_version_alone_proves_no_search() -> None:
    read = an_answer(order=(), scores=())
    assert Reason.SEARCH_NOT_CHECKED is judge(a_request(search=False), read)[0]
