"""The Secret in the form of Service Binding."""

import base64
import json
from typing import Any

from rerank_operator.api import names
from rerank_operator.resources.binding import build_binding_secret
from rerank_operator.resources.publication import describe
from rerank_operator.resources.revision import Facts
from tests.builders import a_reranker, a_resource


def a_secret(**spec: Any) -> dict[str, Any]:
    reranker = a_reranker(**spec)
    return build_binding_secret("bge", a_resource(), describe(reranker, Facts.of(reranker.spec), "abc"), "abc")


def entries_of(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def test_the_secret_has_the_name_the_type_and_the_entries_of_service_binding() -> None:
    secret = a_secret()
    entries = entries_of(secret)

    assert ("bge-binding", "search") == (secret["metadata"]["name"], secret["metadata"]["namespace"])
    assert "servicebinding.io/rerank" == secret["type"]
    assert ("rerank", "rerank-operator") == (entries["type"], entries["provider"])
    assert ("bge.search.svc", "8000") == (entries["host"], entries["port"])
    assert "vllm" == json.loads(entries["params"])["provider"]


def test_the_secret_goes_with_its_reranker_and_tells_which_revision_it_describes() -> None:
    metadata = a_secret()["metadata"]

    assert ["uid-of-bge"] == [owner["uid"] for owner in metadata["ownerReferences"]]
    assert (names.ROLE_BINDING, "abc") == (
        metadata["labels"][names.LABEL_ROLE],
        metadata["labels"][names.LABEL_REVISION],
    )
    assert "finalizers" not in metadata


def test_reloader_finds_the_secret() -> None:
    assert {"reloader.stakater.com/match": "true"} == a_secret()["metadata"]["annotations"]


def test_the_entry_of_the_credential_is_there_only_where_a_key_is_needed() -> None:
    entries = entries_of(a_secret(access={"bearerSecretRef": {"name": "callers"}}))

    assert "bge" == entries["credential"] == json.loads(entries["params"])["credential"]
    assert "credential" not in entries_of(a_secret())
