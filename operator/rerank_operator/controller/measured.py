"""`status.verification` and `status.progress`: what was measured, and what goes on. Pure.

Both must not churn. A figure is written again only when it is really another one, and what was written before is the
memory: an operator that has just started knows no more than the status says.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import LoadingStep
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.times import rfc3339
from rerank_operator.controller.values import Observed, Record, subject_of
from rerank_operator.diagnosis.progress_words import read_progress
from rerank_operator.rerank.verdict import scale_of, two_digits

MOST_PODS: Final = 20
ALIKE: Final = 8
NEGLIGIBLE_MILLISECONDS: Final = 100
_SAYS_NOTHING: Final = {Reason.ENDPOINT_UNREACHABLE, Reason.ENGINE_UNRESPONSIVE}
_STEPS: Final = list(LoadingStep)


def verification_status(observed: Observed, now: str) -> Object | None:
    """What the pods of the revision that serves, or else of the desired one, answered; None before any did."""
    revision = observed.desired if observed.external else observed.active or observed.desired
    before: Object = observed.resource.get("status", {}).get("verification", {})
    pods = _told_pods(observed, revision, {pod["name"]: pod for pod in before.get("pods", [])}, now)
    if not pods or not observed.verifies:
        return None
    wrong_first = sorted(pods, key=lambda told: (told["reason"] == Reason.RERANK_VERIFIED, told["name"]))
    figures = _figures(observed, revision, before if observed.told_of == revision else {})
    return {**figures, "pods": wrong_first[:MOST_PODS]}


def _told_pods(observed: Observed, revision: str, known: Mapping[str, Object], now: str) -> list[Object]:
    if (url := observed.external) is not None:
        record, before = observed.address_record(revision, url), known.get(url)
        told = [before if record is None else _told(url, record, before, now)]
    else:
        pods = observed.pods_of(revision)
        told = [_pod_status(pod, observed.record_of(pod), known.get(pod.name), now) for pod in pods]
    return [pod for pod in told if pod is not None]


def _pod_status(pod: Pod, record: Record | None, before: Object | None, now: str) -> Object | None:
    if record is None:
        return before
    if not pod.ready and (record.verdict.right or (not pod.has_started and record.verdict.reason in _SAYS_NOTHING)):
        return before  # it starts
    return _told(pod.name, record, before, now)


def _told(name: str, record: Record, before: Object | None, now: str) -> Object:
    reason = record.verdict.reason.value
    stays = before is not None and before["reason"] == reason
    told: Object = {
        "name": name,
        "reason": reason,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and stays else now,
    }
    if record.seconds is not None:
        milliseconds = max(1, round(record.seconds * 1000))
        last = (before or {}).get("latencyMilliseconds")
        told["latencyMilliseconds"] = last if last and _is_alike(last, milliseconds) else milliseconds
    return told


def _is_alike(last: int, now: int) -> bool:
    """Whether two latencies (milliseconds) tell the same: traffic alone makes the one several times the other."""
    return max(last, now) <= max(NEGLIGIBLE_MILLISECONDS, ALIKE * min(last, now))


def _figures(observed: Observed, revision: str, before: Object) -> Object:
    """Score range and treatment of overlong documents: properties of the model, so the first answer stays."""
    figures = {field: value for field, value in before.items() if field != "pods"}
    subjects = [pod.uid for pod in observed.pods_of(revision)]
    if observed.external is not None:
        subjects.append(subject_of(observed.key, revision, observed.external))
    records = [r for subject in subjects if (r := observed.records.get(subject)) is not None]
    scores = [record.scores for record in records if record.scores]
    if scores and "scoreScale" not in figures:
        lowest, highest = min(low for low, _ in scores), max(high for _, high in scores)
        figures["scoreScale"] = scale_of((lowest, highest)).value
        figures["lowestScore"], figures["highestScore"] = two_digits(lowest), two_digits(highest)
    overlong = next((record.overlong for record in records if record.overlong), None)
    if overlong is not None:
        figures["overlongDocuments"] = overlong.value
    return figures


class _Doing(NamedTuple):
    """What a pod does, since when (epoch seconds; None when only the status knows), and how much of it is done."""

    step: LoadingStep
    since: float | None
    detail: str = ""


def progress_status(observed: Observed) -> Object | None:
    """What the slowest pod of the desired revision does before it serves; None when there is none to wait for."""
    doing = min(_doings(observed), key=lambda doing: _STEPS.index(doing.step), default=None)
    if doing is None:
        return None
    before: Object = observed.resource.get("status", {}).get("progress", {})
    stays = before.get("step") == doing.step.value
    told: Object = {
        "step": doing.step.value,
        "since": before["since"] if stays else rfc3339(observed.at if doing.since is None else doing.since),
    }
    return {**told, "detail": doing.detail} if doing.detail else told


def _doings(observed: Observed) -> Iterator[_Doing]:
    for pod in observed.pods_of(observed.desired):
        record = observed.records.get(pod.uid)
        if pod.ready:
            if observed.verifies and record is None and not observed.is_in_service(observed.desired):
                yield _Doing(LoadingStep.VERIFYING, None)
        elif not (pod.running_since is not None and pod.has_started):
            yield _doing_of(pod, observed)


def _doing_of(pod: Pod, observed: Observed) -> _Doing:
    """What a pod does that has never been ready."""
    if not pod.scheduled_at:
        return _Doing(LoadingStep.SCHEDULING, pod.created)
    if step := pod.running_step:
        told = read_progress(observed.logs.get(pod.uid, "")) if step[0] == names.FETCH_CONTAINER else None
        return (
            _Doing(LoadingStep.DOWNLOADING_MODEL, step[1], told[1]) if told else _Doing(LoadingStep.STARTING, step[1])
        )
    if pod.running_since is None:
        said = [event.reason for event in observed.events.get(pod.uid, ())]
        pulls = "Pulling" in said and "Pulled" not in said
        return _Doing(LoadingStep.PULLING_IMAGE if pulls else LoadingStep.STARTING, pod.scheduled_at)
    read = read_progress(observed.logs.get(pod.uid, ""))
    if read is None:
        return _Doing(LoadingStep.STARTING, pod.running_since)
    return _Doing(read[0], None, read[1])
