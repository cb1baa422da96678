"""Copies in other namespaces."""

from rerank_operator.api import names
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.publication_copy import build_copy
from rerank_operator.resources.revision import Facts
from tests.builders import BATCH, a_reranker, a_resource, hash_of

FACTS = Facts.of(a_reranker().spec)
PUBLICATION = build_publication(a_reranker(), a_resource(), FACTS, hash_of(), BATCH)


def test_a_copy_says_the_same_and_names_where_it_is_from() -> None:
    copy = build_copy(PUBLICATION, "shop")

    assert (PUBLICATION["data"], "bge-milvus", "shop") == (
        copy["data"],
        copy["metadata"]["name"],
        copy["metadata"]["namespace"],
    )
    assert "search" == copy["metadata"]["labels"][names.LABEL_SOURCE_NAMESPACE]
    assert (names.ROLE_COPY, hash_of()) == (
        copy["metadata"]["labels"][names.LABEL_ROLE],
        copy["metadata"]["labels"][names.LABEL_REVISION],
    )


def test_a_copy_has_neither_owner_nor_finalizer_because_no_owner_reaches_into_another_namespace() -> None:
    assert {"name", "namespace", "labels", "annotations"} == set(build_copy(PUBLICATION, "shop")["metadata"])


def test_reloader_finds_the_publication_and_its_copies() -> None:
    for obj in (PUBLICATION, build_copy(PUBLICATION, "shop")):
        assert "true" == obj["metadata"]["annotations"]["reloader.stakater.com/match"]


def test_what_was_measured_is_not_copied() -> None:
    assert names.ANNOTATION_BATCH in PUBLICATION["metadata"]["annotations"]
    assert names.ANNOTATION_BATCH not in build_copy(PUBLICATION, "shop")["metadata"]["annotations"]
