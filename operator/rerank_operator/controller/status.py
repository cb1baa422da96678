"""Say what is seen: conditions, and one write when they changed."""

import dataclasses
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition, ConditionType, Reason, merge_conditions
from rerank_operator.clients.kube import KubeClient
from rerank_operator.controller.diagnose import diagnose
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.values import Object, Observed

# Counts alone are not worth a write while the reranker is on its way.
_COUNTS: Final = ("replicas", "readyReplicas")


async def report(observed: Observed, now: str, kube: KubeClient, mirror: Mirror) -> Condition | None:
    """Write the status if it differs from what is there; returns Ready when its reason changed.

    `now` is an RFC 3339 time in UTC, used for conditions that change.
    """
    before = observed.resource.get("status", {})
    status = build_status(observed, now)
    if not _is_worth_a_write(before, status):
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


def build_status(observed: Observed, now: str) -> Object:
    """The complete status of a reranker; conditions that did not change keep their time."""
    metadata = observed.resource["metadata"]
    generation = metadata["generation"]
    before = observed.resource.get("status", {}).get("conditions", [])
    conditions = merge_conditions(before, judge_conditions(observed), generation, now)
    status: Object = {"observedGeneration": generation, "conditions": conditions}
    if observed.reranker is None:
        return status
    active, desired = observed.active, observed.desired
    status["selector"] = f"{names.LABEL_RERANKER}={metadata['name']}"
    status["replicas"] = len(observed.pods_of(active or desired))
    status["readyReplicas"] = len(observed.ready_pods(active or desired))
    if active:
        status["activeRevision"] = active
    if active != desired:
        status["candidateRevision"] = desired
    if observed.published:
        publication = observed.publications[0]
        status["endpoint"] = publication["data"]["RERANK_ENDPOINT"]
        status["configMapName"] = publication["metadata"]["name"]
    return status


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
        return [accepted, *rest, dataclasses.replace(accepted, type=ConditionType.READY)]
    engine = _engine_available(observed)
    verified = _rerank_verified(observed, engine)
    published = _config_published(observed)
    chain = [accepted, engine, verified, published]
    blocking = next((c for c in chain if c.status != "True"), None)
    if blocking is None:
        ready = Condition(ConditionType.READY, "True", Reason.READY)
    else:
        ready = Condition(ConditionType.READY, "False", blocking.reason, blocking.detail)
    return [*chain, ready]


def _accepted(observed: Observed) -> Condition:
    if observed.reranker is None:
        return Condition(ConditionType.ACCEPTED, "False", Reason.INVALID_SPEC, observed.invalid)
    if observed.refused:
        detail = f"The API server refuses a child of this resource: {observed.refused}"
        return Condition(ConditionType.ACCEPTED, "False", Reason.INVALID_SPEC, detail)
    if observed.conflicts:
        found = " and ".join(observed.conflicts)
        return Condition(
            ConditionType.ACCEPTED, "False", Reason.NAME_CONFLICT, f"{found} exists and is not ours; it was not touched"
        )
    return Condition(ConditionType.ACCEPTED, "True", Reason.ACCEPTED)


def _engine_available(observed: Observed) -> Condition:
    kind = ConditionType.ENGINE_AVAILABLE
    desired, wanted = observed.desired, observed.wanted_replicas
    if observed.wanted.spec.suspend or wanted == 0:
        detail = "" if observed.wanted.spec.suspend else "spec.replicas is 0: no model pod runs"
        return Condition(kind, "False", Reason.SUSPENDED, detail)
    ready = len(observed.ready_pods(desired))
    counted = f"{ready} of {wanted} model pods of revision {desired} are ready"
    if ready >= wanted or (ready and observed.active == desired):
        return Condition(kind, "True", Reason.ENGINE_AVAILABLE, counted)
    serving = f" Revision {observed.active} keeps serving." if _old_one_serves(observed) else ""
    fault = diagnose(observed.pods_of(desired), observed.deployments.get(desired))
    if fault:
        reason, seen = fault
        end = "" if seen.endswith((".", "…")) else "."
        return Condition(kind, "False", reason, f"{seen}{end}{serving}")
    return Condition(kind, "False", Reason.ENGINE_STARTING, f"{counted}; a model takes minutes to load.{serving}")


def _old_one_serves(observed: Observed) -> bool:
    return observed.active not in (None, observed.desired) and bool(observed.ready_pods(observed.active or ""))


def _rerank_verified(observed: Observed, engine: Condition) -> Condition:
    kind = ConditionType.RERANK_VERIFIED
    desired = observed.desired
    if wrong := observed.wrong_verdict(desired):
        pod, verdict = wrong
        return Condition(kind, "False", verdict.reason, f"Pod {pod.name}: {verdict.detail}")
    if observed.is_verified(desired) or observed.is_in_service(desired):
        return Condition(kind, "True", Reason.RERANK_VERIFIED)
    if engine.status == "True":
        return Condition(kind, "Unknown", Reason.VERIFYING)
    return Condition(kind, "Unknown", engine.reason, engine.detail)


def _config_published(observed: Observed) -> Condition:
    kind = ConditionType.CONFIG_PUBLISHED
    published = observed.published
    if published is None:
        return Condition(kind, "False", Reason.WAITING_FOR_VERIFICATION)
    name = observed.publications[0]["metadata"]["name"]
    seen = f"ConfigMap {name} describes revision {published}"
    if published == observed.desired:
        return Condition(kind, "True", Reason.CONFIG_PUBLISHED, seen)
    return Condition(
        kind, "False", Reason.WAITING_FOR_VERIFICATION, f"{seen}, which serves until the candidate ranks right"
    )


def _is_worth_a_write(before: Object, status: Object) -> bool:
    if before == status:
        return False
    ready = next(c for c in status["conditions"] if c["type"] == ConditionType.READY.value)
    if ready["status"] == "True":
        return True
    return {k: v for k, v in before.items() if k not in _COUNTS} != {
        k: v for k, v in status.items() if k not in _COUNTS
    }


def _changed_ready(before: Object, conditions: list[Condition]) -> Condition | None:
    old: dict[str, Any] = next((c for c in before.get("conditions", []) if c["type"] == ConditionType.READY), {})
    ready = conditions[-1]
    return ready if ready.reason.value != old.get("reason") else None
