"""Who asked the API server for what, from its audit log. Pure but for reading the file.

The log has a line per request that was answered, with the server's own clock; watches are left out by policy.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from rerank_operator.api import names

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
READS: Final = frozenset({"get", "list"})
STATUS: Final = f"{names.PLURAL}/status"
PUBLICATION_SUFFIX: Final = names.publication_name("")


class Request(NamedTuple):
    """One answered request. `at` is when it was answered, in seconds since 1970."""

    at: float
    agent: str
    verb: str
    resource: str
    """With its subresource: pods/status."""
    name: str
    """Empty for a collection, and for a create request whose object names itself."""

    @property
    def is_ours(self) -> bool:
        """Whether the operator's own client sent it."""
        return self.agent == names.FIELD_MANAGER

    @property
    def is_kopfs(self) -> bool:
        """Whether kopf sent it, from the same process."""
        return self.agent.startswith("kopf/")


def read_requests(log: Path) -> list[Request]:
    """Return the answered requests about resources; a line that is still being written is left out."""
    with log.open(encoding="utf-8") as lines:
        return list(parse(lines))


def parse(lines: Iterable[str]) -> Iterator[Request]:
    """Read the lines of an audit log, one JSON value each."""
    for line in lines:
        if not line.endswith("\n"):
            return
        entry = json.loads(line)
        if entry["stage"] == "ResponseComplete" and "objectRef" in entry:
            yield _request(entry)


def _request(entry: dict[str, Any]) -> Request:
    reference = entry["objectRef"]
    parts = (reference["resource"], reference.get("subresource"))
    return Request(
        at=dt.datetime.fromisoformat(entry["stageTimestamp"]).timestamp(),
        agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        resource="/".join(part for part in parts if part),
        name=reference.get("name", ""),
    )


def between(requests: Iterable[Request], start: float, end: float) -> list[Request]:
    """Those that were answered from `start` to `end`, both in seconds since 1970."""
    return [request for request in requests if start <= request.at <= end]


def our_writes(requests: Iterable[Request]) -> dict[str, int]:
    """Count what the operator's process wrote, through its own client or through kopf."""
    return _counted(r for r in requests if r.verb in WRITES and (r.is_ours or r.is_kopfs))


def our_reads(requests: Iterable[Request]) -> dict[str, int]:
    """Count what the operator's own client read."""
    return _counted(r for r in requests if r.verb in READS and r.is_ours)


def kopf_requests(requests: Iterable[Request]) -> dict[str, int]:
    """Count what kopf asked."""
    return _counted(r for r in requests if r.is_kopfs)


def _counted(requests: Iterable[Request]) -> dict[str, int]:
    return dict(sorted(Counter(f"{request.verb} {request.resource}" for request in requests).items()))


def last_created(requests: Iterable[Request], resource: str) -> float:
    """When the operator created the last object of a resource, in seconds since 1970."""
    return max(r.at for r in requests if r.is_ours and (r.verb, r.resource) == ("create", resource))


def publishing_seconds(requests: Iterable[Request]) -> list[float]:
    """Return for each reranker the seconds from its pod being reported ready to its ConfigMap being created.

    A kubelet reports a pod by writing pods/status; the puppet does so once, when the pod is ready.
    """
    ready: dict[str, float] = {}
    published: dict[str, float] = {}
    for request in requests:
        if (request.verb, request.resource) == ("patch", "pods/status"):
            ready[reranker_of_pod(request.name)] = request.at
        elif request.is_ours and (request.verb, request.resource) == ("create", "configmaps"):
            published[request.name] = request.at
    return [
        published[name] - at
        for reranker, at in ready.items()
        if (name := f"{reranker}{PUBLICATION_SUFFIX}") in published
    ]


def reranker_of_pod(name: str) -> str:
    """Whose pod it is: Deployment (reranker and revision), ReplicaSet and pod add one part to the name each."""
    return name.rsplit("-", 3)[0]
