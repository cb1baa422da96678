"""Paths of objects, and what an answer of the API server means for the next step."""

import pytest

from rerank_operator.clients import errors
from rerank_operator.clients.errors import error_of
from rerank_operator.clients.kube import DEPLOYMENTS, RERANKERS, SERVICES


def test_a_path_leads_to_a_collection_an_object_or_a_subresource() -> None:
    assert "/apis/rerank-operator.io/v1alpha1/rerankservices" == RERANKERS.path()
    assert "/apis/apps/v1/namespaces/search/deployments" == DEPLOYMENTS.path("search")
    assert "/api/v1/namespaces/search/services/bge" == SERVICES.path("search", "bge")
    assert RERANKERS.path("search", "bge", "status").endswith("/search/rerankservices/bge/status")


ANSWERS: dict[int, type[errors.ClientError]] = {
    400: errors.ObjectInvalid,
    401: errors.ApiUnavailable,
    403: errors.ApiRejected,
    404: errors.NotFound,
    409: errors.AlreadyExists,
    422: errors.ObjectInvalid,
    429: errors.ApiUnavailable,
    500: errors.ApiUnavailable,
    503: errors.ApiUnavailable,
}


@pytest.mark.parametrize(("status", "kind"), ANSWERS.items())
def test_a_status_decides_what_happens_next(status: int, kind: type[errors.ClientError]) -> None:
    error = error_of("failed to POST /x", status, b'{"kind": "Status", "message": "no room"}')

    assert kind is type(error)
    assert "no room" in str(error)


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[]", b""])
def test_an_answer_that_is_no_status_is_quoted(body: bytes) -> None:
    assert errors.ApiUnavailable is type(error_of("failed to GET /x", 502, body))


def test_a_namespace_that_is_being_deleted_is_told_apart_from_a_missing_right() -> None:
    cause = b'{"kind": "Status", "message": "it is being terminated", "details": {"causes": [{"reason": "%s"}]}}'

    assert errors.NamespaceTerminating is type(error_of("POST /x", 403, cause % b"NamespaceTerminating"))
    assert errors.ApiRejected is type(error_of("POST /x", 403, cause % b"Other"))
