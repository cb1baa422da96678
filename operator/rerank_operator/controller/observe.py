"""Gather everything about one reranker."""

import dataclasses
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.clients.errors import ApiRejected, ClientError
from rerank_operator.clients.kube import CLAIMS, CONFIG_MAPS, NAMESPACES, REVISIONS, SECRETS, SERVICES, Kind, KubeClient
from rerank_operator.controller.diagnose import needs_events, needs_log
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.times import seconds_of
from rerank_operator.controller.values import Fault, Key, MilvusRecord, Observed, Record
from rerank_operator.engine.keys import keys_of
from rerank_operator.resources.model_volume import wants_claim

# Before that a log says nothing worth telling.
LOADING_SECONDS: Final = 10.0
_AUTOSCALERS: Final = {"HorizontalPodAutoscaler", "ScaledObject"}
_ROUTES: Final = {"Ingress", "HTTPRoute"}
# A copy there could not be followed: no event would tell of a hand edit, and no list of what is left.
_NOT_WATCHED: Final[Fault] = (Reason.NAMESPACE_MISSING, "the operator does not watch it")


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What was answered to the operator's own questions. The mappings are live: they tell what is known now.

    `records` holds what each pod that is ready, and each address, answered last; `early` that of pods that are not
    ready; `milvus` what each reranker's Milvus said.
    """

    records: Mapping[str, Record]
    early: Mapping[str, Record]
    milvus: Mapping[Key, MilvusRecord]


async def observe(
    key: Key, mirror: Mirror, answers: Answers, kube: KubeClient, watched: Collection[str] = ()
) -> Observed | None:
    """What is known of a reranker; None when it is gone or going, and there is nothing left to do.

    `watched` are the namespaces that the operator watches; empty for all.

    The API server is asked only where the mirror cannot know: for what other namespaces say to a copy, for foreign
    objects with our names before anything is created, for the files of a revision when their ConfigMap is missing, and
    for what explains pods that do not start (`_ask`).
    """
    observed = look(key, mirror, answers)
    if observed is None:
        return None
    observed = dataclasses.replace(observed, stands=await _stands(observed, kube, watched))
    if observed.reranker is None:
        return observed
    if not observed.revisions and not observed.publications:
        conflicts = await _name_conflicts(observed.reranker, observed, kube)
        observed = dataclasses.replace(observed, conflicts=conflicts)
    return await _ask(await _complete_revisions(observed, kube), kube)


async def _complete_revisions(observed: Observed, kube: KubeClient) -> Observed:
    """Read the files of revisions that need them: the mirror leaves them out."""
    revisions = dict(observed.revisions)
    for revision in set(revisions) - set(observed.files):
        if revision not in (observed.desired, observed.active):
            continue
        metadata = revisions[revision]["metadata"]
        complete = await kube.get(REVISIONS, metadata["namespace"], metadata["name"])
        if complete is None:
            del revisions[revision]
        else:
            revisions[revision] = complete
    return dataclasses.replace(observed, revisions=revisions)


async def _ask(observed: Observed, kube: KubeClient) -> Observed:
    """Read what only some rerankers need: what explains pods that do not answer, Secrets, KEDA."""
    spec = observed.wanted.spec
    pods = [pod for pod in observed.pods_of(observed.desired) if not pod.ready]
    found: dict[str, Any] = {
        "events": await _events(observed, [pod for pod in pods if needs_events(pod, observed.at)], kube),
        "logs": await _logs(observed, pods, kube),
    }
    if spec.access.bearer_secret_ref and not observed.ready_pods(observed.desired) and not spec.suspend:
        namespace = observed.resource["metadata"]["namespace"]
        found["secret_fault"] = await _secret_fault(namespace, spec.access.bearer_secret_ref.name, kube)
    if wants_claim(spec) and not observed.ready_pods(observed.desired):
        found |= await _claim(observed.resource["metadata"], kube)
    if spec.autoscaling and spec.autoscaling.waiting_requests:
        found["keda_installed"] = await kube.has_keda()
    if spec.route and spec.route.gateway:
        found["gateway_api_installed"] = await kube.has_gateway_api()
    if spec.publish.service_binding or observed.resource.get("status", {}).get("binding"):
        found["binding"] = await _binding(observed, kube)
    return dataclasses.replace(observed, **found)


async def _stands(observed: Observed, kube: KubeClient, watched: Collection[str]) -> dict[str, Fault | None]:
    """What other namespaces, which have a copy or should get one, say to it: no event tells."""
    wanted = observed.reranker.spec.publish.namespaces if observed.reranker else ()
    source = observed.key.namespace
    places = {*wanted, *(copy["metadata"]["namespace"] for copy in observed.copies)} - {source}
    return {
        place: await _stand(place, source, kube) if not watched or place in watched else _NOT_WATCHED
        for place in sorted(places)
    }


async def _binding(observed: Observed, kube: KubeClient) -> Object | None:
    """The Secret for Service Binding, if it is ours."""
    try:
        secret = await kube.get(SECRETS, observed.key.namespace, names.binding_name(observed.key.name))
    except ApiRejected:
        return None  # writing it tells why
    return secret if secret is not None and _is_owned(secret, observed.resource) else None


async def _stand(namespace: str, source: str, kube: KubeClient) -> Fault | None:
    """Why a namespace takes no copies from another one; None where it does."""
    try:
        found = await kube.get(NAMESPACES, None, namespace)
    except ApiRejected:
        return Reason.NAMESPACE_MISSING, "the operator may not read it"
    if found is None or "deletionTimestamp" in found["metadata"]:
        return Reason.NAMESPACE_MISSING, "it does not exist"
    accepted = (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_ACCEPTS, "")
    if {"*", source} & {part.strip() for part in accepted.split(",")}:
        return None
    return Reason.NAMESPACE_NOT_OPTED_IN, f"its annotation {names.ANNOTATION_ACCEPTS} does not name {source}"


async def _claim(metadata: Object, kube: KubeClient) -> dict[str, Any]:
    """Whether the claim for the model is yet to be created, or is somebody else's, whose files are not ours to write.

    One that was retained has no owner any more; its label tells that it is ours.
    """
    name = names.cache_name(metadata["name"])
    claim = await kube.get(CLAIMS, metadata["namespace"], name)
    if claim is None:
        return {"lacks_claim": True}
    is_ours = claim["metadata"].get("labels", {}).get(names.LABEL_RERANKER) == metadata["name"]
    return {} if is_ours else {"conflicts": (f"PersistentVolumeClaim {name!r}",)}


async def _events(observed: Observed, pods: Iterable[Pod], kube: KubeClient) -> dict[str, tuple[Said, ...]]:
    """The Events of these pods, oldest first; none without the right to read them."""
    namespace = observed.resource["metadata"]["namespace"]
    found: dict[str, tuple[Said, ...]] = {}
    for pod in pods:
        try:
            events = await kube.events_of(namespace, pod.uid)
        except ApiRejected:
            continue
        said = (Said(_event_time(e), e.get("reason") or "", e.get("message") or "") for e in events)
        found[pod.uid] = tuple(sorted(said))
    return found


async def _logs(observed: Observed, pods: Iterable[Pod], kube: KubeClient) -> dict[str, str]:
    """The end of the engine's log: why it ended, where the kubelet's message does not tell, else how far it is."""
    namespace = observed.resource["metadata"]["namespace"]
    found: dict[str, str] = {}
    for pod in pods:
        if step := pod.running_step:
            container, previous, told = step[0], False, observed.at >= step[1] + LOADING_SECONDS
        else:
            container, previous, told = _engine_log(pod, observed.at)
        if not told:
            continue
        try:
            found[pod.uid] = await kube.log(namespace, pod.name, container, previous=previous)
        except ClientError:
            continue  # without the right, or with the node away, the kubelet's message has to do
    return found


def _engine_log(pod: Pod, at: float) -> tuple[str, bool, bool]:
    """The engine's container, whether its run before the present one tells more, and whether its log tells at all."""
    runs = pod.running_since is not None
    loads = runs and not pod.restarts and not pod.has_started
    late = at >= (pod.running_since or 0.0) + LOADING_SECONDS
    return names.ENGINE_CONTAINER, runs and not loads, needs_log(pod) or (loads and late)


def _event_time(event: Object) -> float:
    series = event.get("series") or {}
    time_ = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return seconds_of(time_ or event["metadata"]["creationTimestamp"])


async def _secret_fault(namespace: str, name: str, kube: KubeClient) -> Fault | None:
    """Why the Secret with the keys of callers cannot serve; only asked while no pod is ready."""
    try:
        secret = await kube.get(SECRETS, namespace, name)
    except ApiRejected:
        return None  # the pod needs the Secret, the operator does not
    if secret is None:
        return Reason.SECRET_MISSING, f"Secret {name!r} of spec.access.bearerSecretRef does not exist"
    if not keys_of(secret.get("data") or {}):
        return Reason.SECRET_KEY_MISSING, f"Secret {name!r} of spec.access.bearerSecretRef holds no key"
    return None


def look(key: Key, mirror: Mirror, answers: Answers) -> Observed | None:
    """The same without asking the API server."""
    objects = mirror.of(key)
    resource = next((o for o in objects if o["kind"] == names.KIND), None)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return None
    reranker, invalid = _parse(resource)
    owned = [o for o in objects if o["kind"] == "Pod" or _is_owned(o, resource)]
    config_maps = [o for o in owned if o["kind"] == "ConfigMap"]
    return Observed(
        resource=resource,
        reranker=reranker,
        invalid=invalid,
        at=time.time(),
        revisions=_by_revision(o for o in owned if o["kind"] == "ControllerRevision"),
        files=_by_revision(o for o in config_maps if _role(o) == names.ROLE_FILES),
        deployments=_by_revision(o for o in owned if o["kind"] == "Deployment"),
        service=next((o for o in owned if o["kind"] == "Service"), None),
        publications=tuple(o for o in config_maps if _role(o) == names.ROLE_PUBLICATION),
        budget=next((o for o in owned if o["kind"] == "PodDisruptionBudget"), None),
        autoscalers=tuple(o for o in owned if o["kind"] in _AUTOSCALERS),
        routes=tuple(o for o in owned if o["kind"] in _ROUTES),
        copies=tuple(o for o in objects if _role(o) == names.ROLE_COPY),
        pods=tuple(sorted((Pod.of(o) for o in owned if o["kind"] == "Pod"), key=lambda pod: pod.name)),
        records=answers.records,
        early=answers.early,
        milvus=answers.milvus.get(key),
    )


async def _name_conflicts(reranker: RerankService, observed: Observed, kube: KubeClient) -> tuple[str, ...]:
    """Foreign objects that hold the names we will need, found before a model is loaded for nothing."""
    metadata = reranker.metadata
    namespace = metadata.namespace or ""
    config_map = reranker.spec.publish.config_map_name or names.publication_name(metadata.name)
    wanted: list[tuple[Kind, str]] = [(CONFIG_MAPS, config_map)]
    if reranker.spec.external is None:
        wanted.append((SERVICES, names.service_name(metadata.name)))
    found = []
    for kind, name in wanted:
        obj = await kube.get(kind, namespace, name)
        if obj is not None and not _is_owned(obj, observed.resource):
            found.append(f"{kind.kind} {name!r}")
    return tuple(found)


def _parse(resource: Object) -> tuple[RerankService | None, str]:
    """The typed resource, or why there is none: the API server checks the schema, but old objects outlive it."""
    try:
        return RerankService.model_validate({k: v for k, v in resource.items() if k != "status"}), ""
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return None, f"{field}: {first['msg']}, got {first['input']!r}"


def _is_owned(obj: Object, resource: Object) -> bool:
    uid = resource["metadata"]["uid"]
    return any(ref["uid"] == uid and ref.get("controller") for ref in obj["metadata"].get("ownerReferences", []))


def _role(obj: Object) -> str | None:
    role: str | None = obj["metadata"].get("labels", {}).get(names.LABEL_ROLE)
    return role


def _by_revision(objects: Iterable[Object]) -> dict[str, Object]:
    return {o["metadata"]["labels"][names.LABEL_REVISION]: o for o in objects}
