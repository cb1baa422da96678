"""The JSON Schemas of the contract: what is published is valid, what Milvus would misread is not."""

import itertools
import json
from typing import Any

import jsonschema
import pytest

from rerank_operator.milvus.config_map import build_data
from rerank_operator.milvus.forms import CONTRACT_VERSION, FORMS
from tests.builders import a_publication
from tests.contract import generate

CHANGES: dict[str, list[Any]] = {
    "endpoint": ["http://bge.search.svc:8000", "https://rerank.example.com"],
    "truncate_prompt_tokens": [None, -1, 512],
    "credential": [None, "bge"],
    "timeout_ms": [None, 60000],
    "milvus_version": [None, "2.6.0", "2.6.6", "3.0"],
}
PUBLICATIONS = [
    a_publication(**dict(zip(CHANGES, values, strict=True))) for values in itertools.product(*CHANGES.values())
]

every_key = pytest.mark.parametrize("key", FORMS)


def schema_of(key: str) -> Any:
    return json.loads((generate.SCHEMAS / key).read_text(encoding="utf-8"))


def check(key: str, value: Any) -> None:
    jsonschema.validate(value, schema_of(key), cls=jsonschema.Draft202012Validator)


@every_key
def test_a_schema_file_is_what_make_generate_would_write(key: str) -> None:
    file = generate.SCHEMAS / key
    assert generate.build_schema_files()[file] == file.read_text(encoding="utf-8"), "run `make generate`"


@every_key
def test_a_schema_is_one_and_names_the_version_of_the_contract(key: str) -> None:
    schema = schema_of(key)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/{CONTRACT_VERSION}/{key}")


@every_key
def test_whatever_is_published_is_valid(key: str) -> None:
    texts = {build_data(publication)[key] for publication in PUBLICATIONS} - {""}
    assert len(texts) > 1
    for text in texts:
        check(key, json.loads(text))


@pytest.mark.parametrize(
    "change",
    [
        {"maxBatch": 64},
        {"queries": ["a"]},
        {"max_batch": 0},
        {"max_batch": None},
        {"max_batch": "256"},
        {"max_client_batch_size": 1.5},
        {"truncate_prompt_tokens": 0},
        {"truncate_prompt_tokens": None},
        {"endpoint": "http://bge.search.svc:8000/v1/rerank"},
        {"endpoint": "bge.search.svc:8000"},
        {"provider": "cohere"},
    ],
    ids=str,
)
def test_params_that_milvus_would_ignore_or_misread_are_not_valid(change: dict[str, Any]) -> None:
    data = build_data(a_publication())
    with pytest.raises(jsonschema.ValidationError):
        check("params.json", {**json.loads(data["params.json"]), **change})
    function = json.loads(data["function.json"])
    with pytest.raises(jsonschema.ValidationError):
        check("function.json", {**function, "params": {**function["params"], **change}})


def test_a_key_in_the_params_of_milvus_lite_is_not_valid() -> None:
    params = json.loads(build_data(a_publication())["milvus-lite.json"])
    with pytest.raises(jsonschema.ValidationError):
        check("milvus-lite.json", {**params, "api_key": "a real one"})
