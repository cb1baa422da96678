"""The search part of the demo, against the engine double."""

from collections.abc import Iterator

import pytest

from rerank_operator.milvus.config_map import build_data
from tests.builders import a_publication
from tests.demo.documents import QUESTION, answer_for, documents, questions
from tests.demo.searches import DocumentSearch, PublishedFunction, milvus_lite
from tests.doubles.engine import EngineDouble


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with EngineDouble(model="capitals-tiny") as running:
        yield running


@pytest.fixture(scope="module")
def search(engine: EngineDouble) -> Iterator[DocumentSearch]:
    data = build_data(a_publication(model="capitals-tiny"))
    with milvus_lite() as client:
        yield DocumentSearch(client, PublishedFunction(data, base_url=f"{engine.url}/v1"))


def test_a_vector_search_puts_the_right_answer_first_only_with_the_reranker(search: DocumentSearch) -> None:
    comparison = search.compare_vector_search()
    assert 1 == comparison.rank_after
    assert comparison.rank_before > 5


def test_a_hybrid_search_puts_the_right_answer_first_only_with_the_reranker(search: DocumentSearch) -> None:
    comparison = search.compare_hybrid_search()
    assert 1 == comparison.rank_after
    assert comparison.rank_before > 1


def test_both_searches_look_at_every_document(search: DocumentSearch) -> None:
    for comparison in (search.compare_vector_search(), search.compare_hybrid_search()):
        for hits in (comparison.before, comparison.after):
            assert sorted(documents()) == sorted(hit.text for hit in hits)


def test_the_reranker_answers_more_questions_than_the_retriever_alone(search: DocumentSearch) -> None:
    comparisons = search.compare_all_questions()
    assert list(questions()) == [comparison.question for comparison in comparisons]
    first_before = sum(comparison.rank_before == 1 for comparison in comparisons)
    first_after = sum(comparison.rank_after == 1 for comparison in comparisons)
    assert first_after > first_before


def test_every_document_is_different_and_the_shown_question_has_an_answer() -> None:
    assert len(documents()) == len(set(documents()))
    assert questions()[QUESTION] == answer_for("France")
