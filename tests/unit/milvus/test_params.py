from typing import Any

import pytest
from pydantic import ValidationError

from rerank_operator.milvus.params import build_chain, build_function, build_lite_params, build_params
from tests.builders import a_publication


def test_params_hold_the_batch_size_under_the_keys_of_every_milvus_version() -> None:
    assert {
        "reranker": "model",
        "provider": "vllm",
        "endpoint": "http://bge.search.svc:8000",
        "max_client_batch_size": 256,
        "max_batch": 256,
        "truncate_prompt_tokens": 512,
    } == build_params(a_publication(truncate_prompt_tokens=512))


def test_truncation_is_left_out_for_a_model_whose_prompt_must_not_be_cut() -> None:
    params = build_params(a_publication(truncate_prompt_tokens=None))
    assert "truncate_prompt_tokens" not in params


def test_the_queries_of_a_search_are_never_published() -> None:
    assert "queries" not in {**build_params(a_publication()), **build_lite_params(a_publication())}


def test_lite_params_call_the_openai_style_route_by_model_name() -> None:
    assert {
        "reranker": "model",
        "provider": "cohere",
        "base_url": "http://bge.search.svc:8000/v1",
        "model_name": "BAAI/bge-reranker-v2-m3",
        "api_key": "not-needed",
    } == build_lite_params(a_publication())


def test_a_function_has_exactly_one_input_field() -> None:
    assert ["text"] == build_function(a_publication())["input_field_names"]


def test_a_key_is_published_by_the_name_of_its_credential_only() -> None:
    keyed = a_publication(credential="bge", secret="callers")  # noqa: S106 - its name

    assert "bge" == build_params(keyed)["credential"]
    assert "credential" not in build_params(a_publication())
    assert "api_key" not in build_lite_params(keyed)


def test_the_name_of_a_credential_is_left_out_for_the_one_version_that_does_not_know_it() -> None:
    versions = ("2.6.0", "2.6", "2.6.1", "3.0", "milvus_lite-3.2.2", None)
    params = [build_params(a_publication(credential="bge", milvus_version=version)) for version in versions]

    assert [None, "bge", "bge", "bge", "bge", "bge"] == [one.get("credential") for one in params]


def test_a_timeout_is_left_out_for_versions_that_ignore_it() -> None:
    versions = ("2.6.0", "2.6.17", "2.6", "3.0", None)
    params = [build_params(a_publication(timeout_ms=60000, milvus_version=version)) for version in versions]

    assert [None, None, None, 60000, 60000] == [one.get("timeout_ms") for one in params]


@pytest.mark.parametrize("version", ["2.5.14", "2.6.0", "2.6.6", "3.0", "milvus_lite-3.2.2", None])
def test_both_batch_keys_are_there_whatever_the_version(version: str | None) -> None:
    params = build_params(a_publication(milvus_version=version))
    assert (256, 256) == (params["max_client_batch_size"], params["max_batch"])


def test_a_chain_has_typed_params_and_names_neither_the_reranker_nor_the_batch_key_of_2_6_0() -> None:
    full = a_publication(truncate_prompt_tokens=512, credential="bge", timeout_ms=60000)
    assert {
        "name": "bge",
        "stage": "L2_RERANK",
        "output": "$score",
        "input_field_name": "text",
        "params": {
            "provider": "vllm",
            "endpoint": "http://bge.search.svc:8000",
            "max_client_batch_size": 256,
            "truncate_prompt_tokens": 512,
            "credential": "bge",
            "timeout_ms": 60000,
        },
    } == build_chain(full)


def test_a_milvus_before_3_gets_no_chain() -> None:
    assert build_chain(a_publication(milvus_version="2.6.17")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"max_client_batch_size": 0},
        {"max_client_batch_size": 256.0},
        {"max_client_batch_size": None},
        {"max_client_batch_size": "256"},
        {"max_client_batch_size": True},
        {"truncate_prompt_tokens": 0},
        {"truncate_prompt_tokens": -2},
        {"truncate_prompt_tokens": 512.0},
        {"timeout_ms": 0},
        {"timeout_ms": 1000.0},
        {"credential": ""},
        {"endpoint": "http://bge.search.svc:8000/"},
        {"endpoint": "http://bge.search.svc:8000/v1"},
        {"endpoint": "http://user:secret@bge.search.svc:8000"},
        {"endpoint": "http://bge.search.svc:8000?a=b"},
        {"endpoint": " http://bge.search.svc:8000"},
        {"endpoint": "http://bge.search.svc:8000\n"},
        {"endpoint": "bge.search.svc:8000"},
        {"endpoint": "grpc://bge.search.svc:8000"},
    ],
    ids=str,
)
def test_a_value_that_milvus_would_refuse_or_misread_cannot_be_published(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build_params(a_publication(**change))


@pytest.mark.parametrize("endpoint", ["http://10.0.0.7:8000", "https://rerank.example.com", "http://[fd00::1]:8000"])
def test_an_endpoint_may_be_an_address_or_a_host_name(endpoint: str) -> None:
    assert endpoint == build_params(a_publication(endpoint=endpoint))["endpoint"]
