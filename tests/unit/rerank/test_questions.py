"""The shipped questions."""

import json

import pytest

from rerank_operator.api.v1alpha1 import Language
from rerank_operator.rerank.questions import Question, overlong, questions_in
from rerank_operator.rerank.verdict import judge
from tests.doubles.rerank_answers import Mode, ServedModel, rerank, token_count

EVERY = tuple(Language)


@pytest.mark.parametrize("language", EVERY)
def test_each_language_of_the_api_has_two_short_questions_and_a_long_one(language: Language) -> None:
    *short, long = questions_in([language])

    assert 2 == len(short)
    assert all(len(document) < 60 for question in short for document in question.documents)
    assert all(len(document) > 120 for document in long.documents)
    assert all(token_count(long.query, document) < 300 for document in long.documents)


@pytest.mark.parametrize("language", EVERY)
def test_the_right_document_repeats_the_subject_so_that_words_alone_find_it(language: Language) -> None:
    for question in questions_in([language]):
        answer = rerank(as_bytes(question), ServedModel(None, 4096), Mode.RIGHT, "x")
        assert judge("/rerank", question, answer.status, answer.encode()).right, question.query


def as_bytes(question: Question) -> bytes:
    return json.dumps(question.body()).encode()


def test_several_languages_are_asked_one_after_another_each_once() -> None:
    assert ["en", "en", "zh", "en"] == [q.language for q in questions_in(["en", "zh", "en"])]


def test_a_language_without_questions_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(ValueError, match="no questions in tlh; there are some in ar, de, en"):
        questions_in(["en", "tlh"])


def test_overlong_documents_are_longer_than_the_limit_and_differ_at_their_beginning() -> None:
    question = overlong(512)

    assert all(len(document.split()) > 512 for document in question.documents)
    assert "The capital of France is Paris." == question.documents[question.best][:31]
    assert 2 == len({document[:20] for document in question.documents})


def test_truncation_is_sent_only_where_it_is_given() -> None:
    assert "truncate_prompt_tokens" not in overlong(8).body()
    assert -1 == overlong(8).body(truncate=-1)["truncate_prompt_tokens"]
