"""Decide what to do about one reranker. Pure: no reads, no writes, no clock, no chance.

The story of a change: the desired revision is brought up beside the active one as a candidate; when every pod of
it ranks right, Service and ConfigMap move to it together; then what is left of the old one goes. A candidate
that never gets there changes nothing else.
"""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.pods import Object
from rerank_operator.controller.rollout import Rollout, plan_rollout
from rerank_operator.controller.scaling import plan_scaling
from rerank_operator.controller.values import Observed
from rerank_operator.controller.verification import Verification, plan_verification
from rerank_operator.milvus.config_map import config_hash
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.model_volume import build_claim
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.revision import EngineImages, build_revision, facts_of
from rerank_operator.resources.service import build_service

# No event tells when a Secret was created or corrected.
SECRET_SECONDS: Final = 15.0
_REPORTED_ONLY: Final = Plan()


def make_plan(observed: Observed, images: EngineImages) -> Plan:
    """Every step of this round."""
    if observed.reranker is None or observed.conflicts:
        return _REPORTED_ONLY
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
    scaling = plan_scaling(observed)
    times = (verification.look_again_at, rollout.look_again_at)
    secret = SECRET_SECONDS if observed.secret_fault else None
    pauses = [
        secret,
        scaling.requeue_after,
        *(None if time is None else max(0.0, time - observed.at) for time in times),
    ]
    return Plan(
        create=(*created, *workloads.create, *scaling.create),
        update=(*workloads.update, *scaling.update),
        verify=verification.targets,
        publish=_plan_publication(observed, revisions),
        delete=(*_plan_deletions(observed), *scaling.delete),
        restart=verification.restart,
        requeue_after=min((pause for pause in pauses if pause is not None), default=None),
    )


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


def _plan_publication(observed: Observed, revisions: dict[str, Object]) -> tuple[Object, ...]:
    """Service and ConfigMap, where they do not say what they should.

    While a candidate is on its way both stay as they are: they describe the active revision. Only what somebody
    deleted or edited is put back.
    """
    desired, active = observed.desired, observed.active
    serves_desired = observed.is_in_service(desired) or observed.is_verified(desired)
    revision = desired if serves_desired else active
    if revision is None or revision not in revisions:
        return ()
    if not serves_desired and observed.published is None:
        return ()  # nothing was ever verified; a Service alone proves nothing
    service = build_service(observed.wanted, observed.resource, revision)
    publication = build_publication(
        observed.wanted, observed.resource, facts_of(revisions[revision]), revision, observed.batch_of(revision)
    )
    wanted = []
    for ours, live in ((service, observed.service), (publication, _published_as(observed, publication))):
        if live is None or (is_drifted(ours, live) if serves_desired else _is_edited(ours, live)):
            wanted.append(ours)
    return tuple(wanted)


def _is_edited(ours: Object, live: Object) -> bool:
    """Whether somebody changed a Service's selector or published values, which the spec's own edits must not yet do."""
    if ours["kind"] == "Service":
        return bool(live.get("spec", {}).get("selector") != ours["spec"]["selector"])
    annotations = live["metadata"].get("annotations", {})
    return bool(annotations.get(names.ANNOTATION_CONFIG_HASH) != config_hash(live.get("data", {})))


def _published_as(observed: Observed, publication: Object) -> Object | None:
    name = publication["metadata"]["name"]
    return next((o for o in observed.publications if o["metadata"]["name"] == name), None)


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
