from typing import Any

import pytest
from pydantic import ValidationError

from rerank_operator.milvus.forms import FORMS, FunctionParams, build_schema

PARAMS: dict[str, Any] = {
    "reranker": "model",
    "provider": "vllm",
    "endpoint": "http://bge.search.svc:8000",
    "max_client_batch_size": 256,
    "max_batch": 256,
    "truncate_prompt_tokens": -1,
}


def test_params_that_milvus_takes_are_taken() -> None:
    assert PARAMS == FunctionParams(**PARAMS).as_data()


@pytest.mark.parametrize(
    "key",
    ["maxBatch", "max_batch_size", "model", "model_name", "top_n", "url", "api_key", "headers", "queries", "timeout"],
)
def test_a_key_that_milvus_would_ignore_or_that_belongs_to_a_search_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        FunctionParams(**{**PARAMS, key: "1"})


@pytest.mark.parametrize("key", ["reranker", "provider", "endpoint", "max_client_batch_size", "max_batch"])
def test_a_key_that_every_version_needs_cannot_be_left_out(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        FunctionParams(**{name: value for name, value in PARAMS.items() if name != key})


def test_what_was_built_cannot_be_changed() -> None:
    params = FunctionParams(**PARAMS)
    with pytest.raises(ValidationError, match="frozen"):
        params.max_batch = 0


@pytest.mark.parametrize("key", FORMS)
def test_a_schema_forbids_other_keys_has_no_null_and_describes_each_field(key: str) -> None:
    schema = build_schema(key)
    forms = [schema, *schema.get("$defs", {}).values()]
    fields = [field for form in forms for field in form["properties"].values()]

    assert [False] * len(forms) == [form["additionalProperties"] for form in forms]
    assert [] == [field for field in fields if "default" in field or not field["description"]]
    assert "null" not in str(schema)
    assert schema["$id"].endswith(f"/{key}")
