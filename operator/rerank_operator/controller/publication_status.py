"""Conditions of what is published, and those that are there only where they apply. Pure."""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition, ConditionType
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.copies import copies_condition
from rerank_operator.controller.pods import Object
from rerank_operator.controller.publishing import (
    is_milvus_good,
    is_out_of_reach,
    needs_a_check,
)
from rerank_operator.controller.routing import lacks_gateway_api
from rerank_operator.controller.scaling import lacks_keda
from rerank_operator.controller.values import Fault, MilvusRecord, Observed
from rerank_operator.milvus.versions import is_too_old
from rerank_operator.resources.addresses import published_endpoint

_RIGHT: Final = Reason.MILVUS_VERIFIED
_NOT_TRIED: Final = {Reason.SEARCH_NOT_CHECKED, Reason.CHECKING_MILVUS}


def config_published(observed: Observed) -> Condition:
    """Whether the ConfigMap says what it should."""
    kind, published = ConditionType.CONFIG_PUBLISHED, observed.published
    waits = _waits_for(observed)
    if published is None:
        return Condition(kind, "False", *(waits or (Reason.WAITING_FOR_VERIFICATION, "")))
    name = observed.publications[0]["metadata"]["name"]
    seen = f"ConfigMap {name} describes revision {published}"
    if waits:
        return Condition(kind, "False", waits[0], f"{seen}. {waits[1]}".strip())
    if published == observed.desired:
        return Condition(kind, "True", Reason.CONFIG_PUBLISHED, f"{seen}{_reach(observed)}")
    seen += ", which serves until the candidate ranks right"
    return Condition(kind, "False", Reason.WAITING_FOR_VERIFICATION, seen)


def _waits_for(observed: Observed) -> Fault | None:
    """What a revision that ranks right still waits for before it is published as the spec asks."""
    if lacks_gateway_api(observed):
        return Reason.GATEWAY_API_MISSING, ""
    if not (observed.is_in_service(observed.desired) or observed.is_verified(observed.desired)):
        return None
    endpoint = published_endpoint(observed.wanted, observed.service)
    if endpoint is None:
        return Reason.WAITING_FOR_ADDRESS, ""
    record = observed.address_record(observed.desired, endpoint)
    if needs_a_check(observed, endpoint) and record and not record.verdict.right and not is_out_of_reach(record):
        return Reason.PUBLISHED_ADDRESS_WRONG, f"{endpoint}: {record.verdict.reason}: {record.verdict.detail}"
    if observed.published != observed.desired and not is_milvus_good(observed, observed.milvus_identity):
        said = observed.milvus
        is_told = said is not None and said.identity == observed.milvus_identity
        return Reason.WAITING_FOR_MILVUS, f"{said.reason}: {said.detail}" if said and is_told else ""
    return None


def _reach(observed: Observed) -> str:
    """What was not asked of the published address, as the end of a sentence."""
    endpoint = published_endpoint(observed.wanted, observed.service)
    if endpoint is None or observed.external or not observed.verifies:
        return ""
    record = observed.address_record(observed.desired, endpoint)
    if record is not None and is_out_of_reach(record):
        return f". The operator cannot reach {endpoint} itself; the pods were asked directly"
    spec = observed.wanted.spec
    if (spec.publish.endpoint or spec.route) and not observed.hosts.allow(endpoint, observed.key.namespace):
        return f". The operator may not call {endpoint} (allowedHosts); the pods were asked directly"
    return ""


def autoscaler_active(observed: Observed) -> Condition | None:
    """Whether an autoscaler sets the number of pods; None where none is wanted."""
    kind = ConditionType.AUTOSCALER_ACTIVE
    if observed.wanted.spec.autoscaling is None:
        return None
    if lacks_keda(observed):
        return Condition(kind, "False", Reason.KEDA_MISSING)
    if observed.wanted.spec.suspend:
        return Condition(kind, "False", Reason.SUSPENDED)
    return Condition(kind, "True", Reason.AUTOSCALER_ACTIVE)


def milvus_verified(observed: Observed) -> Condition | None:
    """Whether Milvus reranks with what is published; None where nobody asked to know."""
    kind, spec = ConditionType.MILVUS_VERIFIED, observed.wanted.spec.milvus
    version = observed.milvus_version
    if version and is_too_old(version, needs_key=observed.wanted.spec.access.bearer_secret_ref is not None):
        where = f" at {spec.connection.uri}" if spec.connection else " (spec.milvus.version)"
        return Condition(kind, "False", Reason.SERVER_TOO_OLD, f"Milvus is {version}{where}")
    if spec.connection is None:
        return None
    record = observed.milvus
    if record is None or (observed.milvus_identity and record.identity != observed.milvus_identity):
        return _told_before(observed) or Condition(kind, "Unknown", Reason.CHECKING_MILVUS)
    return Condition(kind, _status_of(record), record.reason, record.detail)


def _status_of(record: MilvusRecord) -> Any:
    if record.reason is _RIGHT:
        return "True"
    return "Unknown" if record.reason in _NOT_TRIED else "False"


def _told_before(observed: Observed) -> Condition | None:
    """What a former run of the operator said of the same spec: a restart changes no status."""
    if observed.milvus is not None:
        return None
    generation = observed.resource["metadata"]["generation"]
    told = observed.resource.get("status", {}).get("conditions", [])
    old = next((c for c in told if c["type"] == ConditionType.MILVUS_VERIFIED.value), None)
    if old is None or old.get("observedGeneration") != generation or old["reason"] not in set(Reason):
        return None
    return Condition(
        ConditionType.MILVUS_VERIFIED, old["status"], Reason(old["reason"]), old["message"], says_remedy=False
    )


def copies_published(observed: Observed) -> Condition | None:
    """Whether every wanted place holds what is published; None where none is wanted, or nothing is published yet."""
    publish = observed.wanted.spec.publish
    if not (publish.namespaces or publish.service_binding) or observed.published is None:
        return None
    shared = _shared(observed)
    missing = [f"namespace {name}" for name in publish.namespaces if name not in (*shared, observed.key.namespace)]
    if publish.service_binding and observed.binding is None:
        missing.append(f"Secret {names.binding_name(observed.key.name)}")
    return copies_condition(observed.copy_faults, shared, missing)


def further_status(observed: Observed) -> Object:
    """`binding`, `copies` and `milvus` of the status, where there is something to tell."""
    version = observed.milvus.version if observed.milvus else None
    version = version or observed.resource.get("status", {}).get("milvus", {}).get("version")
    told: Object = {}
    if observed.binding is not None:
        told["binding"] = {"name": observed.binding["metadata"]["name"]}
    if shared := _shared(observed):
        told["copies"] = shared
    if version and observed.wanted.spec.milvus.connection:
        told["milvus"] = {"version": version}
    return told


def _shared(observed: Observed) -> list[str]:
    return sorted(copy["metadata"]["namespace"] for copy in observed.copies)
