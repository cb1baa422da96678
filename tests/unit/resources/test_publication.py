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


@pytest.mark.parametrize(
    ("asked", "measured", "cap", "published"),
    [(256, None, None, 256), (256, 64, 4096, 64), (256, 256, 100, 100), (32, 256, 4096, 32)],
)
def test_a_batch_is_no_larger_than_what_was_measured_and_what_is_let_through(
    asked: int, measured: int | None, cap: int | None, published: int
) -> None:
    facts = Facts("m", None, 512, truncation_safe=True, max_documents=cap)
    described = describe(a_reranker(milvus={"maxClientBatchSize": asked}), facts, "abc", measured)

    assert published == described.max_client_batch_size


def test_the_credential_is_called_like_the_reranker_and_only_where_the_revision_asks_for_a_key() -> None:
    keyed = Facts("m", None, 512, truncation_safe=True, bearer_secret="callers")  # noqa: S106 - its name
    named = describe(a_reranker(milvus={"credentialName": "rerank"}), keyed, "abc")

    assert ("bge", "callers") == (describe(a_reranker(), keyed, "abc").credential, named.secret)
    assert "rerank" == named.credential
    assert None is describe(a_reranker(), Facts("m", None, 512, truncation_safe=True), "abc").credential
