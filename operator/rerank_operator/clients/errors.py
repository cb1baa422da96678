"""Errors of the clients. Each class says what happens next.

ClientError
├── ApiUnavailable   the API server did not answer, or asked to wait: try again later
├── ApiRejected      the API server refuses the request (rights, for instance): somebody must change something
│   ├── ObjectInvalid   the object itself cannot be accepted: the spec must change
│   └── NamespaceTerminating   the namespace is being deleted: nothing can be created in it any more
├── AlreadyExists    our own object of a deleted reranker still has the name: try again later
├── NameConflict     somebody else's object has the name: a person must decide
└── NotFound         the object is gone
"""

import json
from typing import Any, Final

_RETRY_LATER: Final = {408, 429, 500, 502, 503, 504}


class ClientError(Exception):
    """A request to the outside failed."""


class ApiUnavailable(ClientError):  # noqa: N818 - reads as what happened
    """The API server cannot be reached, is overloaded, or failed by itself."""


class ApiRejected(ClientError):  # noqa: N818
    """The API server refuses the request."""


class ObjectInvalid(ApiRejected):
    """The API server finds the object invalid. The text is the API server's."""


class NamespaceTerminating(ApiRejected):
    """The namespace is being deleted. The text is the API server's."""


class AlreadyExists(ClientError):  # noqa: N818
    """An object with this name exists already."""


class NameConflict(ClientError):  # noqa: N818
    """An object with this name exists and is not ours; it is never overwritten. The text describes the object."""


class NotFound(ClientError):  # noqa: N818
    """The object does not exist."""


def error_of(what: str, status: int, payload: bytes) -> ClientError:
    """What an answer other than success means: `what` was tried, `payload` is the API server's Status."""
    causes: list[Any] = []
    try:
        document = json.loads(payload)
        message = document.get("message") or document.get("reason") or ""
        causes = (document.get("details") or {}).get("causes") or []
    except (ValueError, AttributeError):
        message = payload[:200].decode(errors="replace")
    text = f"{what}: {status} {message}"
    if status == 404:  # noqa: PLR2004
        return NotFound(text)
    if status == 409:  # noqa: PLR2004
        return AlreadyExists(text)
    if status in _RETRY_LATER or status == 401:  # noqa: PLR2004 - a rotated token is read again on the next try
        return ApiUnavailable(text)
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return NamespaceTerminating(message)
    return ObjectInvalid(message) if status in (400, 422) else ApiRejected(text)
