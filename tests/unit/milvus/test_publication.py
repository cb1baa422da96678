import dataclasses
import json

import pytest

from rerank_operator.milvus.config_map import build_data, config_hash
from tests.builders import a_publication

PUBLICATION = a_publication(model_revision="953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e")
BARE = a_publication(max_length=None, truncate_prompt_tokens=None)


def test_the_keys_are_the_same_whatever_is_known_about_the_model_and_milvus() -> None:
    old = dataclasses.replace(BARE, milvus_version="2.6.0")
    assert list(build_data(PUBLICATION)) == list(build_data(BARE)) == list(build_data(old))


def test_a_milvus_without_function_chains_gets_an_empty_one() -> None:
    assert "" == build_data(a_publication(milvus_version="2.6.17"))["function-chain.json"]


def test_a_value_that_is_not_there_is_an_empty_string() -> None:
    data = build_data(BARE)
    absent = ("MODEL_REVISION", "MAX_LENGTH", "TRUNCATE_PROMPT_TOKENS", "CREDENTIAL")
    assert ["", "", "", ""] == [data[f"RERANK_{key}"] for key in absent]


def test_the_flat_keys_say_what_an_application_needs_to_call_the_engine_itself() -> None:
    data = build_data(PUBLICATION)
    assert {
        "RERANK_CONTRACT_VERSION": "1.0",
        "RERANK_ENDPOINT": "http://bge.search.svc:8000",
        "RERANK_URL": "http://bge.search.svc:8000/v1/rerank",
        "RERANK_PROVIDER": "vllm",
        "RERANK_MODEL": "BAAI/bge-reranker-v2-m3",
        "RERANK_MODEL_REVISION": "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e",
        "RERANK_REVISION": "5f8d7c",
        "RERANK_MAX_LENGTH": "8192",
        "RERANK_MAX_CLIENT_BATCH_SIZE": "256",
        "RERANK_TRUNCATE_PROMPT_TOKENS": "-1",
        "RERANK_CREDENTIAL": "",
        "RERANK_CONFIG_HASH": config_hash(data),
    } == {key: value for key, value in data.items() if key.startswith("RERANK_")}


def test_the_function_holds_the_published_params() -> None:
    data = build_data(PUBLICATION)
    assert {
        "name": "bge",
        "function_type": "RERANK",
        "input_field_names": ["text"],
        "params": json.loads(data["params.json"]),
    } == json.loads(data["function.json"])


def test_the_same_publication_is_the_same_text() -> None:
    assert build_data(PUBLICATION) == build_data(dataclasses.replace(PUBLICATION))


def test_json_is_indented_and_ends_with_a_newline_and_keeps_letters_readable() -> None:
    function = build_data(a_publication(function_name="排序"))["function.json"]
    assert '{\n  "name": "排序",\n' == function[: len('{\n  "name": "排序",\n')]
    assert "\n}\n" == function[-3:]


def test_the_hash_does_not_depend_on_itself() -> None:
    data = build_data(PUBLICATION)
    assert data["RERANK_CONFIG_HASH"] == config_hash({**data, "RERANK_CONFIG_HASH": "something else"})


@pytest.mark.parametrize(
    "change",
    [
        {"config_map_name": "other"},
        {"namespace": "other"},
        {"function_name": "other"},
        {"input_field": "other"},
        {"endpoint": "http://bge.search.svc:9000"},
        {"model": "other"},
        {"model_revision": "other"},
        {"max_length": 512},
        {"max_client_batch_size": 32},
        {"truncate_prompt_tokens": 512},
        {"revision": "other"},
        {"credential": "other"},
        {"timeout_ms": 1000},
        {"milvus_version": "2.6.6"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_changes_with_every_field(change: dict[str, str | int]) -> None:
    other = dataclasses.replace(PUBLICATION, **change)  # type: ignore[arg-type]
    assert build_data(PUBLICATION)["RERANK_CONFIG_HASH"] != build_data(other)["RERANK_CONFIG_HASH"]


def test_the_example_names_its_config_map_and_is_a_program_of_less_than_eighty_lines() -> None:
    example = build_data(PUBLICATION)["example.py"]
    compile(example, "example.py", "exec")
    assert "search/bge-milvus" in example.splitlines()[0]
    assert len(example.splitlines()) < 80


def test_a_function_name_that_looks_like_code_does_not_reach_the_example() -> None:
    hostile = dataclasses.replace(PUBLICATION, function_name='"""$x', input_field='"""; import os')
    assert build_data(PUBLICATION)["example.py"] == build_data(hostile)["example.py"]
