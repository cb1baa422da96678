"""Copies in other namespaces, and the Secret for Service Binding."""

import base64
import json

from rerank_operator.api import names
from rerank_operator.resources.binding import build_binding_secret
from rerank_operator.resources.publication import build_publication, describe
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


def test_reloader_finds_the_publication_its_copies_and_the_secret() -> None:
    secret = build_binding_secret("bge", a_resource(), describe(a_reranker(), FACTS, hash_of()), hash_of())
    for obj in (PUBLICATION, build_copy(PUBLICATION, "shop"), secret):
        assert "true" == obj["metadata"]["annotations"]["reloader.stakater.com/match"]


def test_what_was_measured_is_not_copied() -> None:
    assert names.ANNOTATION_BATCH in PUBLICATION["metadata"]["annotations"]
    assert names.ANNOTATION_BATCH not in build_copy(PUBLICATION, "shop")["metadata"]["annotations"]


def test_the_secret_has_the_type_and_the_entries_of_service_binding_and_goes_with_its_reranker() -> None:
    keyed = a_reranker(access={"bearerSecretRef": {"name": "callers"}})
    facts = Facts.of(keyed.spec)
    secret = build_binding_secret("bge", a_resource(), describe(keyed, facts, "abc"), "abc")
    entries = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}

    assert ("bge-binding", "servicebinding.io/rerank") == (secret["metadata"]["name"], secret["type"])
    assert ("rerank", "rerank-operator") == (entries["type"], entries["provider"])
    assert ("bge.search.svc", "8000") == (entries["host"], entries["port"])
    assert "bge" == entries["credential"] == json.loads(entries["params"])["credential"]
    assert "uid-of-bge" == secret["metadata"]["ownerReferences"][0]["uid"]
