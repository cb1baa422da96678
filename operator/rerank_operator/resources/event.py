"""The Event about a transition of Ready."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition
from rerank_operator.resources.render import render


def build_event(resource: dict[str, Any], ready: Condition, now: str) -> dict[str, Any]:
    """A core/v1 Event about the reranker; `now` is an RFC 3339 time."""
    metadata = resource["metadata"]
    regarding = {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
    }
    return render(
        "event.yaml.j2",
        prefix=f"{metadata['name']}.",
        regarding=regarding,
        type="Normal" if ready.status == "True" else "Warning",
        reason=ready.reason.value,
        message=ready.message,
        component=names.MANAGED_BY,
        now=now,
    )
