import json

import pytest

from rerank_operator.milvus.binding import build_binding
from rerank_operator.milvus.params import build_params
from tests.builders import a_publication


def test_a_binding_has_the_entries_of_the_specification_and_ours() -> None:
    assert {
        "type": "rerank",
        "provider": "rerank-operator",
        "uri": "http://bge.search.svc:8000/v1/rerank",
        "host": "bge.search.svc",
        "port": "8000",
        "endpoint": "http://bge.search.svc:8000",
        "model": "BAAI/bge-reranker-v2-m3",
        "params": json.dumps(build_params(a_publication())),
    } == build_binding(a_publication())


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("https://rerank.example.com", "rerank.example.com", "443"),
        ("http://rerank.example.com", "rerank.example.com", "80"),
        ("https://rerank.example.com:8443", "rerank.example.com", "8443"),
        ("http://[fd00::1]:8000", "fd00::1", "8000"),
    ],
)
def test_the_port_is_that_of_the_scheme_where_the_endpoint_names_none(endpoint: str, host: str, port: str) -> None:
    binding = build_binding(a_publication(endpoint=endpoint))
    assert (host, port) == (binding["host"], binding["port"])


def test_a_binding_names_the_credential_and_holds_no_key() -> None:
    binding = build_binding(a_publication(credential="bge", secret="callers"))  # noqa: S106 - names
    assert "bge" == binding["credential"] == json.loads(binding["params"])["credential"]
    assert set() == {"password", "api_key", "apikey", "token"} & set(binding)
    assert "callers" not in str(binding)
