"""What one more finding makes of what is known of a pod. Pure."""

import zlib
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.controller.decisions import Scope, Target
from rerank_operator.controller.values import Record
from rerank_operator.rerank.finding import Finding

FIRST_RETRY_SECONDS: Final = 2.0
LONGEST_RETRY_SECONDS: Final = 60.0
FIRST_EARLY_SECONDS: Final = 15.0
LONGEST_EARLY_SECONDS: Final = 60.0
_EARLY_GROWTH: Final = 1.25
# No answer may be a passing thing: a connection that broke, an engine that was busy.
_MAY_PASS: Final = {Reason.ENDPOINT_UNREACHABLE, Reason.ENGINE_UNRESPONSIVE, Reason.ENGINE_ERROR}


def next_record(before: Record | None, finding: Finding, target: Target, now: float) -> Record:
    """The record after `finding` at the time `now` (epoch seconds).

    A pod that was right gets a second chance at once before a missing answer counts. While the reason stays, so does
    what was said first: scores differ in the last digits each time, and a status must not follow them.
    """
    verdict = finding.verdict
    failures = 0 if verdict.right else (before.failures if before else 0) + 1
    if before and not verdict.right:
        forgiven = before.verdict.right and failures == 1 and verdict.reason in _MAY_PASS
        if forgiven or before.verdict.reason is verdict.reason:
            verdict = before.verdict
    scores = (min(finding.scores), max(finding.scores)) if finding.scores else None
    return Record(
        verdict=verdict,
        failures=failures,
        ask_again_at=now + _pause(target, failures, right=finding.verdict.right),
        batch=finding.batch or (before.batch if before else None),
        seconds=finding.seconds or (before.seconds if before else None),
        scores=scores or (before.scores if before else None),
        overlong=finding.overlong or (before.overlong if before else None),
    )


def _pause(target: Target, failures: int, *, right: bool) -> float:
    """Seconds until the pod is asked again: ever more rarely while it is wrong."""
    if target.scope is Scope.EARLY:
        return min(FIRST_EARLY_SECONDS * _EARLY_GROWTH**failures, LONGEST_EARLY_SECONDS)
    if right:
        # Spread, so that pods that were verified in the same second are not asked in the same second for ever.
        spread = zlib.crc32(target.subject.encode()) % 1000 / 1000
        return target.interval * (0.8 + 0.2 * spread)
    return min(FIRST_RETRY_SECONDS * 2.0 ** (failures - 1), LONGEST_RETRY_SECONDS)
