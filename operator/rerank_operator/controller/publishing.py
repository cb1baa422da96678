"""What to publish, and what has to be known before. Pure.

The Service moves first: only then does an address outside the cluster, or a Milvus, lead to the new revision. The
ConfigMap follows when they have answered right.
"""

import dataclasses
import hashlib
import json
from typing import Final

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.decisions import MilvusTarget, Target
from rerank_operator.controller.pods import Object
from rerank_operator.controller.routing import lacks_gateway_api
from rerank_operator.controller.values import Observed, Record
from rerank_operator.controller.verification import plan_address, questions_of
from rerank_operator.milvus.config_map import config_hash
from rerank_operator.resources.addresses import is_own_service, published_endpoint
from rerank_operator.resources.binding import build_binding_secret
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.publication import build_publication, describe
from rerank_operator.resources.revision import Facts, facts_of
from rerank_operator.resources.service import build_service

# So often an address that gives no answer is tried before it is published: a new load balancer takes a while, and
# another network may be out of the operator's reach for ever.
UNREACHABLE_TRIES: Final = 4
_NO_ANSWER: Final = {Reason.ENDPOINT_UNREACHABLE, Reason.ENGINE_UNRESPONSIVE}
_VERIFIED: Final = {Reason.MILVUS_VERIFIED, Reason.SEARCH_NOT_CHECKED}


@dataclasses.dataclass(frozen=True, slots=True)
class Publishing:
    """Service and ConfigMap to write, what to ask before, and when (epoch seconds) to look again.

    `binding` is the Secret for Service Binding that goes with what is published; None where there should be none.
    """

    objects: tuple[Object, ...] = ()
    verify: tuple[Target, ...] = ()
    milvus: MilvusTarget | None = None
    milvus_identity: str | None = None
    binding: Object | None = None
    look_again_at: float | None = None


def plan_publishing(observed: Observed, revisions: dict[str, Object]) -> Publishing:
    """Service and ConfigMap, where they do not say what they should.

    While a candidate is on its way both stay as they are: they describe the active revision. Only what somebody
    deleted or edited is put back.
    """
    desired, active = observed.desired, observed.active
    if observed.is_in_service(desired) or observed.is_verified(desired):
        return _plan_desired(observed, revisions)
    if active is None or active not in revisions or observed.published is None:
        return Publishing()  # nothing was ever verified; a Service alone proves nothing
    service = build_service(observed.wanted, observed.resource, active)
    publication = _publication(observed, facts_of(revisions[active]), active, _endpoint_of(observed))
    wanted = [
        ours
        for ours, live in ((service, observed.service), (publication, published_as(observed, publication)))
        if live is None or _is_edited(ours, live)
    ]
    return Publishing(tuple(wanted))


def _plan_desired(observed: Observed, revisions: dict[str, Object]) -> Publishing:
    """The desired revision serves, or may."""
    desired = observed.desired
    facts = Facts.of(observed.wanted.spec) if observed.external else facts_of(revisions[desired])
    service = None if observed.external else build_service(observed.wanted, observed.resource, desired)
    is_switched = observed.external is not None or observed.active == desired
    services = () if service is None or not _differs(service, observed.service) else (service,)
    endpoint = published_endpoint(observed.wanted, observed.service)
    if endpoint is None:
        return Publishing(services)
    publication = _publication(observed, facts, desired, endpoint)
    leads_there = is_switched and (observed.external is not None or bool(observed.ready_pods(desired)))
    address = _check_address(observed, facts, endpoint) if leads_there else Publishing()
    milvus = _check_milvus(observed, publication, facts) if leads_there else Publishing()
    may_publish = is_address_good(observed, endpoint) and is_milvus_good(observed, milvus.milvus_identity)
    differs = _differs(publication, published_as(observed, publication))
    if needs_a_check(observed, endpoint) or observed.wanted.spec.milvus.require_verified:
        may_publish = may_publish and is_switched
    times = [time for time in (address.look_again_at, milvus.look_again_at) if time is not None]
    return Publishing(
        objects=(*services, *((publication,) if differs and may_publish else ())),
        verify=address.verify,
        milvus=milvus.milvus if is_address_good(observed, endpoint) else None,
        milvus_identity=milvus.milvus_identity,
        binding=None if differs else _binding(observed, facts, endpoint),
        look_again_at=min(times, default=None),
    )


def needs_a_check(observed: Observed, endpoint: str) -> bool:
    """Whether the published address is another way to the pods than the one on which they were asked."""
    if observed.external or not observed.verifies or is_own_service(endpoint, observed.wanted):
        return False
    spec = observed.wanted.spec
    is_users = spec.publish.endpoint is not None or spec.route is not None
    return not is_users or observed.hosts.allow(endpoint, observed.key.namespace)


def is_address_good(observed: Observed, endpoint: str) -> bool:
    """Whether the address may be published: it answered right, or gave no answer to several requests."""
    if lacks_gateway_api(observed):
        return False
    if not needs_a_check(observed, endpoint):
        return True
    record = observed.address_record(observed.desired, endpoint)
    return record is not None and (record.verdict.right or is_out_of_reach(record))


def is_out_of_reach(record: Record) -> bool:
    """Whether the operator has to take it that it cannot reach an address that others may."""
    return record.verdict.reason in _NO_ANSWER and record.failures >= UNREACHABLE_TRIES


def is_milvus_good(observed: Observed, identity: str | None) -> bool:
    """Whether Milvus has nothing against a publication."""
    if not observed.wanted.spec.milvus.require_verified:
        return True
    record = observed.milvus
    return record is not None and record.identity == identity and record.reason in _VERIFIED


def _check_address(observed: Observed, facts: Facts, endpoint: str) -> Publishing:
    if not needs_a_check(observed, endpoint):
        return Publishing()
    target, time = plan_address(observed, observed.desired, endpoint, facts)
    return Publishing(verify=(target,)) if target else Publishing(look_again_at=time)


def _check_milvus(observed: Observed, publication: Object, facts: Facts) -> Publishing:
    """Try the publication in Milvus: at once where it is another one, else when its time has come."""
    connection = observed.wanted.spec.milvus.connection
    if connection is None:
        return Publishing()
    data = publication["data"]
    tried = [data["function.json"], data["milvus-lite.json"], connection.model_dump_json(), facts.bearer_secret]
    identity = hashlib.sha256(json.dumps(tried).encode()).hexdigest()[:12]
    record = observed.milvus
    if record is not None and record.identity == identity and observed.at < record.ask_again_at:
        return Publishing(milvus_identity=identity, look_again_at=record.ask_again_at)
    question = questions_of(observed.wanted.spec)[0]
    target = MilvusTarget(observed.key, identity, connection, data, question, facts.bearer_secret)
    return Publishing(milvus=target, milvus_identity=identity)


def _publication(observed: Observed, facts: Facts, revision: str, endpoint: str) -> Object:
    return build_publication(
        observed.wanted,
        observed.resource,
        facts,
        revision,
        observed.batch_of(revision),
        endpoint=endpoint,
        milvus_version=observed.milvus_version,
    )


def _binding(observed: Observed, facts: Facts, endpoint: str) -> Object | None:
    """The same in the form of Service Binding."""
    if not observed.wanted.spec.publish.service_binding:
        return None
    batch = observed.batch_of(observed.desired)
    measured = batch.answered if batch else None
    publication = describe(
        observed.wanted, facts, observed.desired, measured, endpoint=endpoint, milvus_version=observed.milvus_version
    )
    return build_binding_secret(observed.key.name, observed.resource, publication, observed.desired)


def _endpoint_of(observed: Observed) -> str:
    """The address under which the active revision is published, whatever the spec wants by now."""
    told = next((o.get("data", {}).get("RERANK_ENDPOINT") for o in observed.publications), None)
    return told or names.endpoint(observed.key.name, observed.key.namespace, observed.wanted.spec.service.port)


def _differs(ours: Object, live: Object | None) -> bool:
    return live is None or is_drifted(ours, live)


def _is_edited(ours: Object, live: Object) -> bool:
    """Whether somebody changed a Service's selector or published values, which the spec's own edits must not yet do."""
    if ours["kind"] == "Service":
        return bool(live.get("spec", {}).get("selector") != ours["spec"]["selector"])
    annotations = live["metadata"].get("annotations", {})
    return bool(annotations.get(names.ANNOTATION_CONFIG_HASH) != config_hash(live.get("data", {})))


def published_as(observed: Observed, publication: Object) -> Object | None:
    """The live ConfigMap of the name that a publication has."""
    name = publication["metadata"]["name"]
    return next((o for o in observed.publications if o["metadata"]["name"] == name), None)
