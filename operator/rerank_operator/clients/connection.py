"""How to reach the API server: the service account of the pod, or a context of a kubeconfig."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from kubernetes.aio import client, config

from rerank_operator.clients.errors import ApiUnavailable

DEFAULT_NAMESPACE: Final = "default"
_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_FILE: Final = "~/.kube/config"
# What the loader raises for a file that cannot be read, is no YAML, or holds something else than a kubeconfig.
_UNUSABLE: Final = (config.ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError)


async def configure(
    configuration: client.Configuration, kubeconfig: str | None = None, context: str | None = None
) -> str:
    """Fill in address and credentials; returns the namespace to use where none is named.

    A file or a context that is named is used. Otherwise the pod's own service account comes first.
    Raises ApiUnavailable when nothing leads to an API server.
    """
    if kubeconfig is None and context is None:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            pass  # not in a pod
        else:
            return _namespace_of_the_account()
    paths = kubeconfig or os.environ.get("KUBECONFIG") or _DEFAULT_FILE
    if not _is_there(paths):
        raise ApiUnavailable(f"no cluster: there is no kubeconfig {paths!r}, and this is no pod")
    try:
        loader = await config.load_kube_config(
            config_file=paths, context=context, client_configuration=configuration, persist_config=False
        )
        chosen = loader.current_context["context"]
    except _UNUSABLE as error:
        raise ApiUnavailable(f"no cluster: kubeconfig {paths!r} cannot be used: {error}") from error
    return str(chosen.get("namespace") or DEFAULT_NAMESPACE)


@contextlib.contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Turn a connection that fails or takes too long into ApiUnavailable; `what` was tried."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise ApiUnavailable(f"{what}: {error or type(error).__name__}") from error


def _is_there(paths: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)


def _namespace_of_the_account() -> str:
    try:
        return _ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE
