"""Say what is seen: conditions, and one write when they changed."""

import dataclasses
import math
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition, ConditionType, merge_conditions
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import LoadingStep, Strategy
from rerank_operator.clients.kube import KubeClient
from rerank_operator.controller.diagnose import diagnose
from rerank_operator.controller.measured import progress_status, verification_status
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.publication_status import (
    autoscaler_active,
    config_published,
    copies_published,
    further_status,
    milvus_verified,
)
from rerank_operator.controller.rollout import lacks_what_the_active_holds, scale_up_of
from rerank_operator.controller.times import rfc3339, seconds_of
from rerank_operator.controller.values import Fault, Observed, Record
from rerank_operator.resources.acceptance import warnings_of
from rerank_operator.resources.revision import facts_of

# Faults that often pass by themselves: a node is added, comes back, an engine catches up, a load balancer is there.
_PASSES: Final = {
    Reason.PENDING,
    Reason.UNSCHEDULABLE,
    Reason.ACCELERATOR_MISSING,
    Reason.NODE_LOST,
    Reason.EVICTED,
    Reason.ENDPOINT_UNREACHABLE,
    Reason.ENGINE_UNRESPONSIVE,
    Reason.WAITING_FOR_ADDRESS,
    Reason.WAITING_FOR_MILVUS,
    Reason.PUBLISHED_ADDRESS_WRONG,
}
_ACCEPTED: Final = MEANINGS[Reason.ACCEPTED].when
# While one of these holds, the status tells what the slowest pod does.
_GOING: Final = {Reason.ENGINE_STARTING, Reason.VERIFYING}
# Steps that usually pass within seconds are not worth a write of their own before that.
_SHORT_STEPS: Final = {LoadingStep.SCHEDULING.value, LoadingStep.STARTING.value, LoadingStep.VERIFYING.value}
SHORT_STEP_SECONDS: Final = 10.0
# Counts alone are not worth a write while the reranker is on its way.
_COUNTS: Final = ("replicas", "readyReplicas")


async def report(observed: Observed, kube: KubeClient, mirror: Mirror) -> Condition | None:
    """Write the status if it differs from what is there; returns Ready when its reason changed."""
    before = observed.resource.get("status", {})
    status = build_status(observed)
    if not is_worth_a_write(before, status, observed.at):
        return None
    metadata = observed.resource["metadata"]
    patch = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        # The uid keeps a status from landing on a new resource of the same name.
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "status": status,
    }
    mirror.put(await kube.apply_status(patch))
    return _changed_ready(before, judge_conditions(observed))


def build_status(observed: Observed) -> Object:
    """The complete status of a reranker; conditions that did not change keep their time."""
    metadata = observed.resource["metadata"]
    generation = metadata["generation"]
    before = observed.resource.get("status", {}).get("conditions", [])
    judged = judge_conditions(observed)
    now = rfc3339(observed.at)
    conditions = merge_conditions(before, judged, generation, now)
    status: Object = {"observedGeneration": generation, "conditions": conditions}
    if observed.reranker is None:
        return status
    active, desired = observed.active, observed.desired
    selector = names.revision_selector(metadata["name"], active or desired)
    status["selector"] = ",".join(f"{label}={value}" for label, value in selector.items())
    status["replicas"] = len(observed.pods_of(active or desired))
    status["readyReplicas"] = len(observed.ready_pods(active or desired))
    if active:
        status["activeRevision"] = active
    if active != desired:
        status["candidateRevision"] = desired
    ready = next(c for c in judged if c.type is ConditionType.READY)
    if ready.reason in _GOING and (progress := progress_status(observed)):
        status["progress"] = progress
    if verification := verification_status(observed, now):
        status["verification"] = verification
    if observed.published:
        publication = observed.publications[0]
        status["endpoint"] = publication["data"]["RERANK_ENDPOINT"]
        status["configMapName"] = publication["metadata"]["name"]
    return {**status, **further_status(observed)}


def judge_conditions(observed: Observed) -> list[Condition]:
    """All conditions, in order; Ready repeats the first one that is not True."""
    accepted = _accepted(observed)
    if accepted.status != "True":
        rest = [
            Condition(kind, "Unknown", accepted.reason, accepted.detail)
            for kind in (
                ConditionType.ENGINE_AVAILABLE,
                ConditionType.RERANK_VERIFIED,
                ConditionType.CONFIG_PUBLISHED,
            )
        ]
        return [accepted, *rest, *_summary(dataclasses.replace(accepted, type=ConditionType.READY))]
    engine = _engine_available(observed)
    verified = _rerank_verified(observed, engine)
    published = config_published(observed)
    # Who switched verification off wants Ready to say whether it serves and is published; its message says the rest.
    chain = [accepted, engine, published] if not observed.verifies else [accepted, engine, verified, published]
    aside = filter(None, (autoscaler_active(observed), milvus_verified(observed), copies_published(observed)))
    blocking = next((c for c in chain if c.status != "True"), None)
    if blocking is None:
        unverified = "" if observed.verifies else "The model serves and its params are published; nobody verified it"
        ready = Condition(ConditionType.READY, "True", Reason.READY, unverified)
    else:
        ready = Condition(ConditionType.READY, "False", blocking.reason, blocking.detail)
    return [accepted, engine, verified, published, *_summary(ready), *aside]


def _summary(ready: Condition) -> list[Condition]:
    """Ready, and what it means to tools: Progressing is worth waiting for, Stalled needs a person."""
    going = ready.reason in _PASSES or (not MEANINGS[ready.reason].remedy and ready.reason is not Reason.SUSPENDED)
    progressing = ready.status != "True" and going
    stalled = ready.status != "True" and not going and ready.reason is not Reason.SUSPENDED
    return [
        ready,
        _for_tools(ConditionType.PROGRESSING, ready, "Nothing is on its way.", holds=progressing),
        _for_tools(ConditionType.STALLED, ready, "Nothing needs a person.", holds=stalled),
    ]


def _for_tools(kind: ConditionType, ready: Condition, otherwise: str, *, holds: bool) -> Condition:
    """What Ready says where it holds; a short sentence where it does not, so that nobody reads the same thrice."""
    if holds:
        return dataclasses.replace(ready, type=kind, status="True")
    return Condition(kind, "False", ready.reason, otherwise, says_remedy=False)


def _accepted(observed: Observed) -> Condition:
    if observed.reranker is None:
        return Condition(ConditionType.ACCEPTED, "False", Reason.INVALID_SPEC, observed.invalid)
    if observed.refused:
        return Condition(ConditionType.ACCEPTED, "False", *observed.refused)
    if observed.conflicts:
        found = " and ".join(observed.conflicts)
        return Condition(
            ConditionType.ACCEPTED, "False", Reason.NAME_CONFLICT, f"{found} exists and is not ours; it was not touched"
        )
    warned = dict.fromkeys(
        (*warnings_of(observed.wanted.spec), *(p.warning for p in observed.pods_of(observed.desired)))
    )
    said = " ".join(filter(None, warned))
    return Condition(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, f"{_ACCEPTED} Note: {said}" if said else "")


def _engine_available(observed: Observed) -> Condition:
    kind = ConditionType.ENGINE_AVAILABLE
    if observed.external:
        return Condition(kind, "True", Reason.EXTERNAL_ENDPOINT)
    desired, wanted = observed.desired, observed.wanted_replicas
    if observed.wanted.spec.suspend or wanted == 0:
        detail = "" if observed.wanted.spec.suspend else "spec.replicas is 0: no model pod runs"
        return Condition(kind, "False", Reason.SUSPENDED, detail)
    ready = len(observed.ready_pods(desired))
    counted = f"{ready} of {wanted} model pods of revision {desired} are ready"
    if ready >= wanted or (ready and observed.active == desired):
        return Condition(kind, "True", Reason.ENGINE_AVAILABLE, counted)
    reason, seen = _why_not_ready(observed) or (Reason.ENGINE_STARTING, f"{counted}; a model takes minutes to load")
    end = "" if seen.endswith((".", "…")) else "."
    return Condition(kind, "False", reason, f"{seen}{end}{_what_serves(observed)}")


def _why_not_ready(observed: Observed) -> Fault | None:
    """What keeps the desired revision from being ready, None while it simply starts."""
    desired = observed.desired
    if observed.candidate and (failure := observed.failure_of(desired)):
        return failure
    if observed.secret_fault:
        return observed.secret_fault
    if observed.candidate and observed.takes_over(desired) and observed.room_since(desired) is None:
        return Reason.FREEING_ACCELERATOR, f"The pods of revision {observed.active} end to make room for {desired}"
    pods = observed.pods_of(desired)
    for pod in pods:
        if scale_up_of(pod, observed) is not None:
            return Reason.WAITING_FOR_NODE, f"An autoscaler is adding a node for pod {pod.name}"
    stored = observed.revisions.get(desired)
    startup_seconds = facts_of(stored).startup_seconds if stored else math.inf
    deployment = observed.deployments.get(desired)
    fault = diagnose(pods, deployment, startup_seconds, observed.at, observed.events, observed.logs)
    if fault is None or fault[0] is Reason.UNSCHEDULABLE:
        fault = _why_ended(observed, pods) or fault
    # What the engine itself answers tells more than that the kubelet's probe fails.
    wrong = observed.wrong_verdict(desired) if fault is None or fault[0] is Reason.ENGINE_UNRESPONSIVE else None
    return _wrong(*wrong) if wrong else fault


def _why_ended(observed: Observed, pods: tuple[Pod, ...]) -> Fault | None:
    """Why pods ended for good, until an engine runs again: a node short of something also keeps the next pod away."""
    if any(pod.running_since is not None for pod in pods):
        return None
    return diagnose(observed.ended_pods(observed.desired), None)


def _wrong(pod: Pod, record: Record) -> Fault:
    return record.verdict.reason, f"Pod {pod.name}: {record.verdict.detail}"


def _what_serves(observed: Observed) -> str:
    """What becomes of searches while the candidate is not ready; empty where nothing ever served."""
    desired, active, rollout = observed.desired, observed.active, observed.wanted.spec.rollout
    if observed.candidate is None:
        return ""
    if observed.failure_of(desired):
        deployment = names.revision_name(observed.resource["metadata"]["name"], desired)
        serves = "serves again" if observed.ready_pods(active or "") else "is coming back"
        return (
            f" Revision {active} {serves}. Change the spec to try something else, or delete Deployment {deployment} "
            "to try the same once more."
        )
    if observed.takes_over(desired):
        return f" Nothing serves until it is ready: revision {active} made room, and comes back if this fails."
    if not observed.ready_pods(active or ""):
        return ""
    stored = observed.revisions.get(active or "")
    lacking = stored and any(lacks_what_the_active_holds(pod, stored) for pod in observed.pods_of(desired))
    if lacking and rollout.strategy is Strategy.AUTO:
        wait = f"for {rollout.recreate_after_seconds} s, and no autoscaler adds a node"
        return f" Revision {active} keeps serving. If that stays so {wait}, it makes room."
    return f" Revision {active} keeps serving."


def _rerank_verified(observed: Observed, engine: Condition) -> Condition:
    kind = ConditionType.RERANK_VERIFIED
    desired = observed.desired
    if not observed.verifies:
        return Condition(kind, "False", Reason.VERIFICATION_DISABLED)
    if observed.external:
        return _external_verified(observed, desired, observed.external)
    if wrong := observed.wrong_verdict(desired):
        return Condition(kind, "False", *_wrong(*wrong))
    if observed.is_verified(desired) or observed.is_in_service(desired):
        return Condition(kind, "True", Reason.RERANK_VERIFIED)
    if engine.status == "True":
        return Condition(kind, "Unknown", Reason.VERIFYING)
    return Condition(kind, "Unknown", engine.reason, engine.detail)


def _external_verified(observed: Observed, desired: str, url: str) -> Condition:
    kind, record = ConditionType.RERANK_VERIFIED, observed.address_record(desired, url)
    if record is None:
        known = observed.is_in_service(desired)
        return (
            Condition(kind, "True", Reason.RERANK_VERIFIED) if known else Condition(kind, "Unknown", Reason.VERIFYING)
        )
    if record.verdict.right:
        return Condition(kind, "True", Reason.RERANK_VERIFIED, f"{url} answered Milvus's own request correctly")
    return Condition(kind, "False", record.verdict.reason, f"{url}: {record.verdict.detail}")


def is_worth_a_write(before: Object, status: Object, at: float) -> bool:
    """Whether a status tells something new at the time `at` (epoch seconds), not only counts on the way."""
    if before == status:
        return False
    ready = next(c for c in status["conditions"] if c["type"] == ConditionType.READY.value)
    if ready["status"] == "True":
        return True
    progress = status.get("progress", {})
    is_short = progress.get("step") in _SHORT_STEPS and at < seconds_of(progress["since"]) + SHORT_STEP_SECONDS
    minor = {*_COUNTS, "progress"} if is_short else {*_COUNTS}
    return {k: v for k, v in before.items() if k not in minor} != {k: v for k, v in status.items() if k not in minor}


def _changed_ready(before: Object, conditions: list[Condition]) -> Condition | None:
    old: dict[str, Any] = next((c for c in before.get("conditions", []) if c["type"] == ConditionType.READY), {})
    ready = next(c for c in conditions if c.type is ConditionType.READY)
    return ready if ready.reason.value != old.get("reason") else None
