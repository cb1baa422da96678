"""Conditions of a reranker: their types, and how they become messages with times.

`Ready` summarises the others: it is True when the spec as written serves, was verified and is published.
`Progressing` and `Stalled` say the same to tools: whether waiting helps, or a person must do something.
"""

import dataclasses
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason

Status = Literal["True", "False", "Unknown"]
MAX_MESSAGE_LENGTH: Final = 1024


class ConditionType(StrEnum):
    """Every condition, in the order in which a reranker passes them; then those that are there where they apply."""

    ACCEPTED = "Accepted"
    ENGINE_AVAILABLE = "EngineAvailable"
    RERANK_VERIFIED = "RerankVerified"
    CONFIG_PUBLISHED = "ConfigPublished"
    READY = "Ready"
    PROGRESSING = "Progressing"
    STALLED = "Stalled"
    AUTOSCALER_ACTIVE = "AutoscalerActive"
    MILVUS_VERIFIED = "MilvusVerified"
    COPIES_PUBLISHED = "CopiesPublished"


WHERE_IT_APPLIES: Final = (
    ConditionType.AUTOSCALER_ACTIVE,
    ConditionType.MILVUS_VERIFIED,
    ConditionType.COPIES_PUBLISHED,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its times: those depend on what was there before."""

    type: ConditionType
    status: Status
    reason: Reason
    detail: str = ""
    says_remedy: bool = True

    @property
    def message(self) -> str:
        """What was seen, then the remedy; never longer than a condition may be."""
        if not self.says_remedy:
            return self.detail
        meaning = MEANINGS[self.reason]
        seen = (self.detail or meaning.when).strip()
        if seen and seen[-1] not in ".!?":
            seen += "."
        room = MAX_MESSAGE_LENGTH - len(meaning.remedy) - 1
        if len(seen) > room:
            seen = seen[: room - 1] + "…"
        return f"{seen} {meaning.remedy}".strip()


def merge_conditions(
    before: Iterable[dict[str, object]], conditions: Iterable[Condition], generation: int, now: str
) -> list[dict[str, object]]:
    """Give each condition its `lastTransitionTime`: the old one while the status stays the same.

    `now` is an RFC 3339 time in UTC. Conditions that are not ours are not returned: server-side apply leaves
    them alone.
    """
    known = {c["type"]: c for c in before}
    merged: list[dict[str, object]] = []
    for condition in conditions:
        old = known.get(condition.type.value, {})
        # The CRD's own default (Pending since 1970) is nobody's observation.
        same = old.get("status") == condition.status and old.get("reason") != Reason.PENDING.value
        merged.append(
            {
                "type": condition.type.value,
                "status": condition.status,
                "reason": condition.reason.value,
                "message": condition.message,
                "observedGeneration": generation,
                "lastTransitionTime": old.get("lastTransitionTime", now) if same else now,
            }
        )
    return merged
