"""The published params against pymilvus, and against the keys that Milvus's vllm provider reads."""

import json
from typing import Any

import pytest
from pymilvus import Function, FunctionType
from pymilvus.client.prepare import Prepare

from rerank_operator.milvus.config_map import build_data
from rerank_operator.milvus.publication import Publication

PUBLICATION = Publication(
    config_map_name="bge-milvus",
    namespace="ns",
    function_name="r",
    input_field="text",
    endpoint="http://svc.ns.svc:8000",
    model="BAAI/bge-reranker-v2-m3",
    model_revision=None,
    max_length=512,
    max_client_batch_size=64,
    truncate_prompt_tokens=512,
    revision="5f8d7c",
)

# What the vllm provider reads, by the age of Milvus's code. Every version ignores the keys it does not know,
# so the published set is right when each version finds its own batch key and knows everything else.
SHARED_KEYS = {"reranker", "provider", "queries", "endpoint", "truncate_prompt_tokens"}
KEYS_BY_VERSION = {
    "2.6.0": SHARED_KEYS | {"max_batch"},
    "2.6.1 and later": SHARED_KEYS | {"max_client_batch_size", "credential", "integration_id"},
    "3.0": SHARED_KEYS | {"max_client_batch_size", "credential", "integration_id", "timeout_ms"},
}
BATCH_KEYS = {
    "2.6.0": "max_batch",
    "2.6.1 and later": "max_client_batch_size",
    "3.0": "max_client_batch_size",
}


def published_params() -> dict[str, Any]:
    params: dict[str, Any] = json.loads(build_data(PUBLICATION)["params.json"])
    return params


def as_sent(queries: list[str]) -> Any:
    """What pymilvus puts into a search request for the published function."""
    function = json.loads(build_data(PUBLICATION)["function.json"])
    ranker = Function(
        name=function["name"],
        input_field_names=function["input_field_names"],
        function_type=FunctionType[function["function_type"]],
        params={**function["params"], "queries": queries},
    )
    (sent,) = Prepare.ranker_to_function_score(ranker).functions
    return sent


def test_pymilvus_sends_the_params_in_the_form_that_milvus_parses() -> None:
    sent = as_sent(["héllo", "b"])
    assert {
        "reranker": "model",
        "provider": "vllm",
        "queries": '["h\\u00e9llo", "b"]',
        "endpoint": "http://svc.ns.svc:8000",
        "max_client_batch_size": "64",
        "max_batch": "64",
        "truncate_prompt_tokens": "512",
    } == {pair.key: pair.value for pair in sent.params}


def test_pymilvus_sends_a_rerank_function_with_one_input_field() -> None:
    sent = as_sent(["a"])
    assert ("r", 3, ["text"]) == (sent.name, sent.type, list(sent.input_field_names))


@pytest.mark.parametrize("version", KEYS_BY_VERSION)
def test_every_milvus_version_finds_its_batch_size(version: str) -> None:
    assert 64 == published_params()[BATCH_KEYS[version]]


@pytest.mark.parametrize("version", KEYS_BY_VERSION)
def test_every_milvus_version_knows_all_params_but_the_batch_key_of_the_other(version: str) -> None:
    other_batch_keys = set(BATCH_KEYS.values()) - {BATCH_KEYS[version]}
    assert other_batch_keys == set(published_params()) - KEYS_BY_VERSION[version]


def test_numbers_are_integers_because_milvus_refuses_a_decimal_point() -> None:
    assert {str, int} == {type(value) for value in published_params().values()}
