"""Where a reranker stands, read from its status. Pure."""

import dataclasses
from typing import Any

from rerank_operator.api.conditions import ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What the status says, where it describes the spec that the reranker has now; else `current` is False.

    `step`, `detail` and `since` (RFC 3339) tell what goes on; they are empty where nothing is told.
    """

    current: bool
    ready: bool
    stalled: bool
    reason: str
    seen: str
    remedy: str
    step: str = ""
    detail: str = ""
    since: str = ""


def standing_of(resource: Object) -> Standing:
    """Read a reranker. A status of an older generation says nothing about the spec."""
    metadata, status = resource["metadata"], resource.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    ready = conditions.get(ConditionType.READY)
    observed = status.get("observedGeneration")
    if ready is None or observed != metadata["generation"]:
        meaning = MEANINGS[Reason.PENDING]
        seen = (
            meaning.when
            if observed is None
            else f"The status describes generation {observed} of the spec, which is at {metadata['generation']}."
        )
        return Standing(False, False, False, Reason.PENDING.value, seen, meaning.remedy)
    seen, remedy = words_of(ready["reason"], ready.get("message", ""))
    progress = status.get("progress") or {}
    return Standing(
        current=True,
        ready=ready["status"] == "True",
        stalled=conditions.get(ConditionType.STALLED, {}).get("status") == "True",
        reason=ready["reason"],
        seen=seen,
        remedy=remedy,
        step=progress.get("step", ""),
        detail=progress.get("detail", ""),
        since=progress.get("since", ""),
    )


def words_of(reason: str, message: str) -> tuple[str, str]:
    """The two halves of a condition's message: what was seen, and the remedy.

    Where the operator is another version than this program, the message may not be split: then all of it was seen.
    """
    remedy = remedy_of(reason)
    if remedy and message.endswith(remedy):
        return message.removesuffix(remedy).rstrip(), remedy
    return message, ""


def remedy_of(reason: str) -> str:
    """What a person can do about a reason; empty for one that this version does not know."""
    try:
        return MEANINGS[Reason(reason)].remedy
    except (ValueError, KeyError):
        return ""
