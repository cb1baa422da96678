"""Decide what to do about one reranker. Pure: no reads, no writes, no clock, no chance.

The story of a change: the desired revision is brought up beside the active one as a candidate; when every pod of
it ranks right, Service and ConfigMap move to it together; then what is left of the old one goes. A candidate
that never gets there changes nothing else.
"""

from collections.abc import Iterable
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.controller.copies import plan_binding, plan_copies, together
from rerank_operator.controller.decisions import Plan, Sharing
from rerank_operator.controller.pods import Object
from rerank_operator.controller.publishing import plan_publishing
from rerank_operator.controller.rollout import Rollout, plan_rollout
from rerank_operator.controller.routing import plan_route
from rerank_operator.controller.scaling import plan_scaling
from rerank_operator.controller.values import Observed
from rerank_operator.controller.verification import Verification, plan_address, plan_verification
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.model_volume import build_claim
from rerank_operator.resources.revision import EngineImages, Facts, build_revision

# No event tells when a Secret was created or corrected.
SECRET_SECONDS: Final = 15.0
_REPORTED_ONLY: Final = Plan()


def make_plan(observed: Observed, images: EngineImages) -> Plan:
    """Every step of this round."""
    if observed.reranker is None or observed.conflicts:
        return _REPORTED_ONLY
    if observed.external is not None:
        return _plan_external(observed)
    revisions = dict(observed.revisions)
    created: list[Object] = [build_claim(observed.wanted, observed.resource)] if observed.lacks_claim else []
    if observed.desired not in revisions:
        number = max((int(r["revision"]) for r in revisions.values()), default=0) + 1
        stored = build_revision(observed.wanted, observed.resource, observed.desired, images, number)
        revisions[observed.desired] = stored
        created.append(stored)
    rollout = plan_rollout(observed, revisions)
    verification = plan_verification(observed, revisions)
    workloads = _plan_workloads(observed, revisions, rollout, verification)
    scaling, route = plan_scaling(observed), plan_route(observed)
    publishing = plan_publishing(observed, revisions)
    times = (verification.look_again_at, rollout.look_again_at, publishing.look_again_at)
    secret = SECRET_SECONDS if observed.secret_fault else None
    return Plan(
        create=(*created, *workloads.create, *scaling.create, *route.create),
        update=(*workloads.update, *scaling.update, *route.update),
        verify=(*verification.targets, *publishing.verify),
        publish=publishing.objects,
        share=_plan_sharing(observed, publishing.binding),
        milvus=publishing.milvus,
        milvus_identity=publishing.milvus_identity,
        delete=(*_plan_deletions(observed), *scaling.delete, *route.delete),
        restart=verification.restart,
        requeue_after=_soonest(observed, times, secret, scaling.requeue_after, route.requeue_after),
    )


def _plan_external(observed: Observed) -> Plan:
    """A server that somebody else runs: nothing is deployed, and what was before goes once it is published."""
    spec, endpoint = observed.wanted.spec, observed.external or ""
    target, time = None, None
    if observed.verifies:
        target, time = plan_address(observed, observed.desired, endpoint, Facts.of(spec), measures=True)
    publishing = plan_publishing(observed, {})
    former: list[Object | None] = []
    if observed.published == observed.desired:
        former += [*observed.deployments.values(), *observed.revisions.values(), *observed.files.values()]
        former += [*observed.routes, *observed.autoscalers, observed.budget, observed.service]
    return Plan(
        verify=(*((target,) if target else ()), *publishing.verify),
        publish=publishing.objects,
        share=_plan_sharing(observed, publishing.binding),
        milvus=publishing.milvus,
        milvus_identity=publishing.milvus_identity,
        delete=(*(o for o in former if o is not None), *_former_publications(observed)),
        requeue_after=_soonest(observed, (time, publishing.look_again_at)),
    )


def _plan_sharing(observed: Observed, binding: Object | None) -> Sharing:
    """Copies of what is published, and the Secret for Service Binding."""
    publish = observed.wanted.spec.publish
    name = publish.config_map_name or names.publication_name(observed.key.name)
    publication = next((o for o in observed.publications if o["metadata"]["name"] == name), None)
    copies = plan_copies(publication, observed.copies, observed.stands, publish.namespaces, observed.key.namespace)
    return together(copies, plan_binding(binding, observed.binding, is_wanted=publish.service_binding))


def _soonest(observed: Observed, times: Iterable[float | None], *pauses: float | None) -> float | None:
    """Seconds until the first of these times (epoch seconds) and pauses (seconds)."""
    left = [max(0.0, time - observed.at) for time in times if time is not None]
    return min((*left, *(pause for pause in pauses if pause is not None)), default=None)


def _plan_workloads(
    observed: Observed, revisions: dict[str, Object], rollout: Rollout, verification: Verification
) -> Plan:
    """Files and Deployments of the desired and of the active revision; the candidate's first.

    Its Deployment tells what becomes of the active one. Were it written second, a restart in between would see an
    active revision that was scaled down for nobody.
    """
    create: list[Object] = []
    update: list[Object] = []
    for revision, replicas in rollout.replicas.items():
        stored = revisions[revision]
        if revision not in observed.files:
            create.append(build_files_config_map(stored))
        annotations = {**rollout.annotations, **verification.annotations} if revision == observed.desired else {}
        deployment = build_deployment(stored, replicas, annotations)
        live = observed.deployments.get(revision)
        if live is None:
            create.append(deployment)
        elif is_drifted(deployment, live):
            update.append(deployment)
    return Plan(create=tuple(create), update=tuple(update))


def _plan_deletions(observed: Observed) -> tuple[Object, ...]:
    """Deployments that neither serve nor should, snapshots beyond the history, ConfigMaps of former names."""
    kept = {observed.desired, observed.active}
    deployments = [d for revision, d in observed.deployments.items() if revision not in kept]
    old = sorted(
        (r for revision, r in observed.revisions.items() if revision not in kept),
        key=lambda stored: int(stored["revision"]),
    )
    surplus = old[: max(0, len(old) - observed.wanted.spec.rollout.revision_history_limit)]
    gone = {stored["metadata"]["labels"][names.LABEL_REVISION] for stored in surplus}
    # By what is left, not by what goes now: files whose snapshot went before a restart must not stay for ever.
    remembered = (observed.revisions.keys() - gone) | kept
    files = [f for revision, f in observed.files.items() if revision not in remembered]
    return (*deployments, *surplus, *files, *_former_publications(observed))


def _former_publications(observed: Observed) -> list[Object]:
    """ConfigMaps under a former `publish.configMapName`, once the new one is there."""
    spec = observed.wanted
    name = spec.spec.publish.config_map_name or names.publication_name(spec.metadata.name)
    current: list[Any] = [o for o in observed.publications if o["metadata"]["name"] == name]
    return [o for o in observed.publications if o not in current] if current else []
