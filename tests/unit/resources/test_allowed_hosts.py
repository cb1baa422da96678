"""Hosts that a resource may make the operator call."""

import pytest

from rerank_operator.resources.allowed_hosts import AllowedHosts
from rerank_operator.settings import Settings

NOBODY = AllowedHosts()


@pytest.mark.parametrize(
    "url",
    [
        "http://vllm.search.svc:8000",
        "http://vllm.search.svc",
        "https://vllm.search.svc.cluster.local:8443",
        "http://VLLM.search.svc:8000",
        "http://vllm.search.svc.:8000",
    ],
)
def test_a_service_of_the_own_namespace_is_always_allowed(url: str) -> None:
    assert NOBODY.allow(url, "search")


@pytest.mark.parametrize(
    "url",
    [
        "http://vllm.staging.svc:8000",
        "http://search.svc:8000",
        "http://vllm.search.svc.example.com:8000",
        "http://pod.vllm.search.svc:8000",
        "http://vllm.search:8000",
        "http://vllm:8000",
        "http://169.254.169.254",
        "http://localhost:8080",
        "http://[::1]:8000",
        "http://vllm.search.svc:8000@203.0.113.7",
        "http://",
        "",
    ],
)
def test_no_other_host_is_allowed_unless_somebody_says_so(url: str) -> None:
    assert not NOBODY.allow(url, "search")


ALLOWED = {
    "a name": ("rerank.example.com", "https://rerank.example.com:8443"),
    "an address": ("203.0.113.7", "http://203.0.113.7:8000"),
    "an address of version 6": ("2001:db8::7", "http://[2001:db8::7]:8000"),
    "the end of a name": ("*.example.com", "http://gpu.example.com"),
    "any number of names": ("*.example.com", "http://a.gpu.example.com"),
    "a Service of another namespace": ("vllm.ml.svc", "http://vllm.ml.svc:8000"),
    "all of another namespace": ("*.ml.svc", "http://vllm.ml.svc:8000"),
    "capitals": ("rerank.example.com", "http://Rerank.Example.COM"),
}


@pytest.mark.parametrize(("pattern", "url"), ALLOWED.values(), ids=ALLOWED)
def test_a_pattern_allows(pattern: str, url: str) -> None:
    assert AllowedHosts(("other.example.org", pattern)).allow(url, "search")


REFUSED = {
    "a longer name": ("example.com", "http://rerank.example.com"),
    "the end itself": ("*.example.com", "http://example.com"),
    "a name with the same end": ("*.example.com", "http://badexample.com"),
    "a user that looks like a host": ("rerank.example.com", "http://rerank.example.com@203.0.113.7"),
    "an address with the same beginning": ("203.0.113.7", "http://203.0.113.70"),
}


@pytest.mark.parametrize(("pattern", "url"), REFUSED.values(), ids=REFUSED)
def test_a_pattern_does_not_allow(pattern: str, url: str) -> None:
    assert not AllowedHosts((pattern,)).allow(url, "search")


def test_hosts_are_read_from_the_settings() -> None:
    settings = Settings.from_env({"RERANK_OPERATOR_ALLOWED_HOSTS": " *.Example.com, 203.0.113.7,,"})

    assert ("*.example.com", "203.0.113.7") == settings.hosts
    assert AllowedHosts(settings.hosts).allow("http://gpu.example.com", "search")
