"""Which cluster is meant, and which namespace goes with it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio import client

from rerank_operator.clients.connection import configure
from rerank_operator.clients.errors import ApiUnavailable
from rerank_operator.clients.kube import KubeClient


def a_kubeconfig(folder: Path, **changes: Any) -> str:
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://one.example:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": "plain", "context": {"cluster": "c", "user": "u"}},
            {"name": "search", "context": {"cluster": "c", "user": "u", "namespace": "search"}},
        ],
        "current-context": "plain",
        **changes,
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def connect(kubeconfig: str | None, context: str | None = None) -> tuple[str, str]:
    configuration = client.Configuration()
    namespace = asyncio.run(configure(configuration, kubeconfig, context))
    return configuration.host, namespace


def test_the_namespace_is_that_of_the_context(tmp_path: Path) -> None:
    file = a_kubeconfig(tmp_path)

    assert ("https://one.example:6443", "default") == connect(file)
    assert ("https://one.example:6443", "search") == connect(file, "search")


def test_the_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{a_kubeconfig(tmp_path)}")

    assert ("https://one.example:6443", "default") == connect(None)


WRONG: dict[str, tuple[dict[str, Any], str | None]] = {
    "no such context": ({}, "nowhere"),
    "no current context": ({"current-context": ""}, None),
    "no clusters": ({"clusters": []}, None),
    "a list": ({"contexts": "none"}, None),
}


@pytest.mark.parametrize(("changes", "context"), WRONG.values(), ids=WRONG)
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, changes: dict[str, Any], context: str) -> None:
    file = a_kubeconfig(tmp_path, **changes)
    with pytest.raises(ApiUnavailable, match=r"no cluster: kubeconfig .* cannot be used"):
        connect(file, context)


@pytest.mark.parametrize("text", ["{", "just words", ""])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ApiUnavailable, match="cannot be used"):
        connect(str(file))


def test_no_kubeconfig_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(ApiUnavailable, match="there is no kubeconfig"):
        connect(str(tmp_path / "missing"))


def test_a_certificate_that_cannot_be_read_is_no_crash(tmp_path: Path) -> None:
    cluster = {"server": "https://one.example:6443", "certificate-authority": "missing.pem"}
    file = a_kubeconfig(tmp_path, clusters=[{"name": "c", "cluster": cluster}])
    with pytest.raises(ApiUnavailable, match="no cluster"):
        asyncio.run(KubeClient.connect(file))
