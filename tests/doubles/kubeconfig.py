"""How to reach the API server that a kubeconfig names, for clients that need no more than that."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Access(NamedTuple):
    """The API server's address and how to prove who asks."""

    server: str
    tls: ssl.SSLContext


def read_access(kubeconfig: Path) -> Access:
    """Return how to reach the cluster of a kubeconfig's current context, with its client certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = named(config["contexts"], config["current-context"])["context"]
    cluster = named(config["clusters"], context["cluster"])["cluster"]
    user = named(config["users"], context["user"])["user"]
    authority = pem(cluster, "certificate-authority", kubeconfig)
    tls = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("client-certificate", "client-key")]
        for file in files:
            file.touch(mode=0o600)
            file.write_text(pem(user, file.name, kubeconfig))
        tls.load_cert_chain(files[0], files[1])
    return Access(cluster["server"], tls)


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the entry of a kubeconfig list that has a name."""
    return next(entry for entry in entries if entry["name"] == name)


def pem(entry: dict[str, Any], field: str, kubeconfig: Path) -> str:
    """Return a certificate or key, which a kubeconfig holds itself or names as a file beside it."""
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data).decode()
    return (kubeconfig.parent / str(entry[field])).read_text()
