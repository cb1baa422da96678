import dataclasses

from rerank_operator.milvus.params import build_function, build_lite_params, build_params
from rerank_operator.milvus.publication import Publication

PUBLICATION = Publication(
    config_map_name="bge-milvus",
    namespace="search",
    function_name="bge",
    input_field="text",
    endpoint="http://bge.search.svc:8000",
    model="BAAI/bge-reranker-v2-m3",
    model_revision=None,
    max_length=None,
    max_client_batch_size=256,
    truncate_prompt_tokens=512,
    revision="5f8d7c",
)


def test_params_hold_the_batch_size_under_the_keys_of_every_milvus_version() -> None:
    assert {
        "reranker": "model",
        "provider": "vllm",
        "endpoint": "http://bge.search.svc:8000",
        "max_client_batch_size": 256,
        "max_batch": 256,
        "truncate_prompt_tokens": 512,
    } == build_params(PUBLICATION)


def test_truncation_is_left_out_for_a_model_whose_prompt_must_not_be_cut() -> None:
    params = build_params(dataclasses.replace(PUBLICATION, truncate_prompt_tokens=None))
    assert "truncate_prompt_tokens" not in params


def test_the_queries_of_a_search_are_never_published() -> None:
    assert "queries" not in {**build_params(PUBLICATION), **build_lite_params(PUBLICATION)}


def test_lite_params_call_the_openai_style_route_by_model_name() -> None:
    assert {
        "reranker": "model",
        "provider": "cohere",
        "base_url": "http://bge.search.svc:8000/v1",
        "model_name": "BAAI/bge-reranker-v2-m3",
        "api_key": "not-needed",
    } == build_lite_params(PUBLICATION)


def test_a_function_has_exactly_one_input_field() -> None:
    assert ["text"] == build_function(PUBLICATION)["input_field_names"]


def test_a_key_is_published_by_the_name_of_its_credential_only() -> None:
    keyed = dataclasses.replace(PUBLICATION, credential="bge", secret="callers")  # noqa: S106 - its name

    assert "bge" == build_params(keyed)["credential"]
    assert "credential" not in build_params(PUBLICATION)
    assert "api_key" not in build_lite_params(keyed)
