"""Secrets and ConfigMaps that a resource names, in its own namespace: read anew each time, and kept nowhere."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ApiRejected
from rerank_operator.clients.kube import SECRETS, Kind, KubeClient
from rerank_operator.engine.keys import keys_of


class UnresolvedError(LookupError):
    """What is named is not there; `reason` is None where the operator may not read it. The text holds no secret."""

    def __init__(self, reason: Reason | None, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


async def first_key(kube: KubeClient, namespace: str, secret: str | None) -> str | None:
    """The first key of callers in a Secret, None where none is named.

    Raises UnresolvedError, and ClientError when the API server is away.
    """
    if secret is None:
        return None
    keys = keys_of(await _data(kube, SECRETS, namespace, secret))
    if not keys:
        raise UnresolvedError(Reason.SECRET_KEY_MISSING, f"Secret {secret!r} holds no key")
    return keys[0]


async def texts(kube: KubeClient, kind: Kind, namespace: str, name: str, *keys: str) -> tuple[str, ...]:
    """Values of one Secret or ConfigMap, all of the same moment, without blanks around them.

    Raises UnresolvedError, and ClientError when the API server is away.
    """
    data = await _data(kube, kind, namespace, name)
    return tuple(_text(data, kind, name, key) for key in keys)


def _text(data: Mapping[str, Any], kind: Kind, name: str, key: str) -> str:
    if key not in data:
        raise UnresolvedError(Reason.SECRET_KEY_MISSING, f"{kind.kind} {name!r} has no key {key!r}")
    try:
        text = base64.b64decode(data[key]).decode() if kind is SECRETS else data[key]
    except (binascii.Error, UnicodeDecodeError):
        # From None: the error holds the value.
        raise UnresolvedError(Reason.SECRET_KEY_MISSING, f"key {key!r} of {kind.kind} {name!r} is no text") from None
    return str(text).strip()


async def _data(kube: KubeClient, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
    try:
        found = await kube.get(kind, namespace, name)
    except ApiRejected as error:
        raise UnresolvedError(None, f"The operator may not read {kind.kind} {name!r}: {error}") from error
    if found is None:
        raise UnresolvedError(Reason.SECRET_MISSING, f"{kind.kind} {name!r} does not exist")
    return found.get("data") or {}
