"""How many documents one request may hold."""

import pytest

from rerank_operator.rerank.batch import SMALLEST, Batch, batch_body, fitting, smaller


@pytest.mark.parametrize(("seconds", "documents"), [(0.1, 256), (10, 256), (10.1, 128), (20, 128), (25, 64)])
def test_a_batch_is_halved_until_it_fits_into_ten_seconds(seconds: float, documents: int) -> None:
    assert documents == fitting(256, seconds)


def test_one_document_that_takes_too_long_does_not_fit_at_all() -> None:
    assert 0 == fitting(1, 10.1)


def test_what_is_not_answered_at_all_is_tried_with_a_quarter_until_that_is_pointless() -> None:
    assert (64, 0) == (smaller(256), smaller(SMALLEST * 2))


def test_a_measured_batch_is_read_back_as_it_was_written() -> None:
    assert Batch(128, 256) == Batch.parse(str(Batch(128, 256)))
    assert None is Batch.parse("")


@pytest.mark.parametrize(
    ("batch", "wanted", "covered"),
    [(Batch(256, 256), 64, True), (Batch(256, 256), 1024, False), (Batch(128, 256), 1024, True)],
)
def test_only_a_larger_batch_that_might_fit_is_worth_asking(batch: Batch, wanted: int, covered: bool) -> None:
    assert covered == batch.covers(wanted)


def test_the_documents_of_a_batch_differ_and_are_cut_only_where_that_is_safe() -> None:
    body = batch_body(3, truncate=True)

    assert 3 == len(set(body["documents"]))
    assert -1 == body["truncate_prompt_tokens"]
    assert "truncate_prompt_tokens" not in batch_body(3, truncate=False)
