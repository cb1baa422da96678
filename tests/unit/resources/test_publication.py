"""What is published for which spec."""

import pytest

from rerank_operator.resources.publication import describe
from rerank_operator.resources.revision import Facts
from tests.builders import a_reranker


@pytest.mark.parametrize(
    ("asked", "max_length", "safe", "expected"),
    [
        (None, 512, True, -1),
        (None, None, True, -1),
        (None, 512, False, None),
        (256, 512, False, 256),
        (4096, 512, True, 512),
        (-1, 512, True, -1),
    ],
)
def test_truncation_keeps_one_long_document_from_failing_a_search(
    asked: int | None, max_length: int | None, safe: bool, expected: int | None
) -> None:
    milvus = {} if asked is None else {"truncatePromptTokens": asked}
    facts = Facts("m", None, max_length, safe)

    assert expected == describe(a_reranker(milvus=milvus), facts, "abc").truncate_prompt_tokens


def test_names_have_defaults_and_can_be_set() -> None:
    facts = Facts("m", None, 512, truncation_safe=True)
    plain = describe(a_reranker(), facts, "abc")
    named = describe(
        a_reranker(milvus={"functionName": "rank", "inputField": "doc"}, publish={"configMapName": "p"}), facts, "abc"
    )

    assert ("bge", "text", "bge-milvus") == (plain.function_name, plain.input_field, plain.config_map_name)
    assert ("rank", "doc", "p") == (named.function_name, named.input_field, named.config_map_name)
