"""The catalog as data."""

from rerank_operator.catalog.models import Entry, lookup


def test_a_known_model_brings_its_usable_length_whatever_the_case_of_its_name() -> None:
    assert 512 == lookup("BAAI/bge-reranker-base").max_length
    assert 8192 == lookup("baai/BGE-reranker-v2-m3").max_length


def test_a_model_that_is_not_known_has_no_facts() -> None:
    assert Entry(id="me/mine") == lookup("me/mine")


def test_every_entry_names_its_source() -> None:
    assert lookup("jinaai/jina-reranker-v2-base-multilingual").source
