"""Which pods to ask now, and whether to restart one that went wrong. Pure.

A pod is asked everything once. Then, for as long as it serves, it is asked the questions again every now and then. A
pod that runs and is not ready is asked one question now and then: behind the guard an engine that cannot rerank never
becomes ready, and nobody would learn why.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import OnFailure, RerankServiceSpec
from rerank_operator.controller.decisions import Restart, Scope, Target
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.times import rfc3339, seconds_of
from rerank_operator.controller.values import Observed, subject_of
from rerank_operator.engine.command import MAX_DOCUMENTS, entry_of
from rerank_operator.milvus.versions import generations_of
from rerank_operator.rerank.finding import Endpoint
from rerank_operator.rerank.questions import MOST_LANGUAGES, Question, questions_in
from rerank_operator.resources.revision import Facts, facts_of

# An engine that starts is left alone for so long; no vLLM answers earlier.
EARLIEST_SECONDS: Final = 15.0
FIRST_RESTART_PAUSE_SECONDS: Final = 60.0
LONGEST_RESTART_PAUSE_SECONDS: Final = 3600.0
# After so much time without a restart the pauses begin anew.
FORGET_RESTARTS_SECONDS: Final = 6 * 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Verification:
    """Pods to ask, one to restart with what to remember of it, and when (epoch seconds) to look again."""

    targets: tuple[Target, ...] = ()
    restart: Restart | None = None
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    look_again_at: float | None = None


def plan_verification(observed: Observed, revisions: Mapping[str, Object]) -> Verification:
    """What to ask of the pods of the desired and of the active revision."""
    if not observed.verifies:
        return Verification()
    targets: list[Target] = []
    times: list[float] = []
    for revision in dict.fromkeys((observed.desired, observed.active)):
        if revision is None or revision not in revisions:
            continue
        facts = facts_of(revisions[revision])
        batch, overlong = _batch_to_measure(observed, revision, facts), not _knows_overlong(observed, revision)
        for pod in observed.pods_of(revision):
            scope, due = _scope(observed, pod, measured=not batch)
            if scope is None or due > observed.at:
                times += [due] if scope else []
                continue
            everything = scope is Scope.EVERYTHING
            endpoint = _endpoint(observed, _base_url(pod.ip), facts)
            if everything:
                endpoint = dataclasses.replace(endpoint, batch=batch, overlong=overlong)
            targets.append(_target(observed, pod.uid, scope, endpoint, facts))
            if everything:
                batch, overlong = 0, False  # one pod is enough: all of them run the same
    restart, allowed_at = _restart(observed)
    if restart is not None and allowed_at > observed.at:
        times.append(allowed_at)
        restart = None
    annotations = {} if restart is None else _remember_restart(observed)
    return Verification(tuple(targets), restart, annotations, min(times, default=None))


def plan_address(
    observed: Observed, revision: str, url: str, facts: Facts, *, measures: bool = False
) -> tuple[Target | None, float]:
    """What to ask now under an address that leads to a revision, and when (epoch seconds) to ask the next time.

    With `measures` it is all there is of the model, and so is asked what else a pod is asked.
    """
    record = observed.address_record(revision, url)
    batch = _batch_to_measure(observed, revision, facts) if measures else 0
    if record is not None and observed.at < record.ask_again_at and (not batch or record.failures):
        return None, record.ask_again_at
    right = record is not None and record.verdict.right and not batch
    overlong = measures and not (record is not None and record.verdict.right and record.overlong)
    endpoint = dataclasses.replace(_endpoint(observed, url, facts), batch=batch, overlong=overlong)
    scope = Scope.AGAIN if right else Scope.EVERYTHING
    return _target(observed, subject_of(observed.key, revision, url), scope, endpoint, facts), observed.at


def questions_of(spec: RerankServiceSpec) -> tuple[Question, ...]:
    """The user's own questions, else those in the languages of the spec, of the catalog (the first few), or English."""
    wanted = spec.verification
    if wanted.cases:
        return tuple(Question(case.query, tuple(case.documents), case.best) for case in wanted.cases)
    return questions_in(wanted.languages or entry_of(spec).languages[:MOST_LANGUAGES] or ("en",))


def _scope(observed: Observed, pod: Pod, *, measured: bool) -> tuple[Scope | None, float]:
    """How much to ask of a pod, None for nothing, and when (epoch seconds)."""
    record = observed.record_of(pod)
    if not pod.ready:
        if pod.running_since is None or not pod.ip or pod.revision != observed.desired:
            return None, 0.0
        return Scope.EARLY, record.ask_again_at if record else pod.running_since + EARLIEST_SECONDS
    if record is None:
        return Scope.EVERYTHING, 0.0
    if not record.verdict.right:
        return Scope.EVERYTHING, record.ask_again_at
    if not measured and not record.failures:
        return Scope.EVERYTHING, 0.0  # a larger batch is wanted than was measured
    return Scope.AGAIN, record.ask_again_at


def _target(observed: Observed, subject: str, scope: Scope, endpoint: Endpoint, facts: Facts) -> Target:
    return Target(
        key=observed.key,
        subject=subject,
        scope=scope,
        endpoint=endpoint,
        secret=facts.bearer_secret,
        interval=float(observed.wanted.spec.verification.interval_seconds),
    )


def _endpoint(observed: Observed, base_url: str, facts: Facts) -> Endpoint:
    spec, generations = observed.wanted.spec, generations_of(observed.milvus_version)
    return Endpoint(
        base_url=base_url,
        model=facts.model,
        questions=questions_of(spec),
        former_route=not generations or any(generation.name == "2.6.0" for generation in generations),
        truncate=facts.truncation_safe,
        max_length=facts.max_length,
        overlong=False,
        lacks_template=facts.lacks_template,
        timeout=float(spec.verification.timeout_seconds),
    )


def _batch_to_measure(observed: Observed, revision: str, facts: Facts) -> int:
    """Documents to measure one request with; 0 when the answer is known."""
    if revision != observed.desired:
        return 0
    wanted = min(observed.wanted.spec.milvus.max_client_batch_size, facts.max_documents or MAX_DOCUMENTS)
    known = observed.batch_of(revision)
    return 0 if known is not None and known.covers(wanted) else wanted


def _knows_overlong(observed: Observed, revision: str) -> bool:
    """Whether a pod that is right was sent an overlong document; the status remembers it across restarts."""
    records = (observed.records.get(pod.uid) for pod in observed.pods_of(revision))
    told = observed.resource.get("status", {}).get("verification", {}).get("overlongDocuments")
    known = any(r is not None and r.verdict.right and r.overlong for r in records)
    return known or (told is not None and observed.told_of == observed.published == revision)


def _restart(observed: Observed) -> tuple[Restart | None, float]:
    """A pod that served, went wrong and stayed wrong, and when (epoch seconds) it may be restarted.

    Only where nothing else is on its way: every other pod of the reranker serves.
    """
    wanted = observed.wanted.spec.verification
    revision = observed.desired
    pods = observed.pods_of(revision)
    if wanted.on_failure is not OnFailure.RESTART_POD or not observed.is_in_service(revision):
        return None, 0.0
    if len(pods) < observed.wanted_replicas or any(pod not in pods and not pod.has_ended for pod in observed.pods):
        return None, 0.0
    # A foreign pod can carry our labels; it is somebody else's to delete.
    deployment = names.revision_name(observed.key.name, revision)
    ours = [pod for pod in pods if pod.replica_set.startswith(f"{deployment}-")]
    failing = [pod for pod in ours if _is_failing(pod, observed)]
    if not failing or any(not pod.ready for pod in pods if pod not in failing):
        return None, 0.0
    pod = min(failing, key=lambda pod: (pod.ready, pod.name))
    record = observed.record_of(pod)
    if record is None:
        return None, 0.0
    return Restart(observed.key, pod, record.verdict), _restart_allowed_at(observed)


def _is_failing(pod: Pod, observed: Observed) -> bool:
    """Whether a pod that had begun to serve answered wrong again and again."""
    record = observed.record_of(pod)
    if record is None or record.verdict.right or not (pod.ready or pod.was_ready):
        return False
    return record.failures >= int(observed.wanted.spec.verification.failure_threshold)


def _restarts(observed: Observed) -> tuple[int, float]:
    """How many restarts came one after another, and when (epoch seconds) the last one was."""
    text = observed.annotations_of(observed.desired).get(names.ANNOTATION_RESTARTS)
    if text is None:
        return 0, 0.0
    remembered = json.loads(text)
    at = seconds_of(remembered["at"])
    return (0, 0.0) if observed.at >= at + FORGET_RESTARTS_SECONDS else (int(remembered["count"]), at)


def _restart_allowed_at(observed: Observed) -> float:
    count, at = _restarts(observed)
    if count == 0:
        return 0.0
    return at + min(FIRST_RESTART_PAUSE_SECONDS * 2.0 ** (count - 1), LONGEST_RESTART_PAUSE_SECONDS)


def _remember_restart(observed: Observed) -> dict[str, str]:
    count, _ = _restarts(observed)
    return {names.ANNOTATION_RESTARTS: json.dumps({"count": count + 1, "at": rfc3339(observed.at)})}


def _base_url(ip: str) -> str:
    return f"http://[{ip}]:{names.ENGINE_PORT}" if ":" in ip else f"http://{ip}:{names.ENGINE_PORT}"
