"""Base cases for unit tests: one valid reranker, what is observed and published of it, to be changed in small ways."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments, RerankService
from rerank_operator.controller.pods import Pod
from rerank_operator.controller.times import seconds_of
from rerank_operator.controller.values import Observed, Record
from rerank_operator.milvus.publication import Publication
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.verdict import RIGHT, Verdict
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.revision import EngineImages, build_revision, facts_of, revision_hash
from rerank_operator.resources.service import build_service
from rerank_operator.settings import Settings

Object = dict[str, Any]
IMAGES = EngineImages(Settings().engine_images)
NOW = "2026-11-24T12:00:00Z"
AT = seconds_of(NOW)
BATCH = Batch(256, 256)


def a_resource(**spec: Any) -> Object:
    """The reranker `search/bge` as the API server would return it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "bge", "namespace": "search", "uid": "uid-of-bge", "generation": 1},
        "spec": {"model": {"name": "BAAI/bge-reranker-v2-m3"}, **spec},
    }


def a_reranker(**spec: Any) -> RerankService:
    """The same, parsed."""
    reranker: RerankService = RerankService.model_validate(a_resource(**spec))
    return reranker


def hash_of(**spec: Any) -> str:
    """Revision of that reranker."""
    return revision_hash(a_reranker(**spec).spec)


def a_revision(number: int = 1, **spec: Any) -> Object:
    """The stored revision of a reranker with this spec."""
    return build_revision(a_reranker(**spec), a_resource(**spec), hash_of(**spec), IMAGES, number)


def a_pod(revision: str, name: str = "pod-1", *, ready: bool = True, **status: Any) -> Pod:
    """A pod of a revision."""
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return Pod.of(
        {
            "metadata": {
                "name": name,
                "uid": f"uid-of-{name}",
                "labels": {names.LABEL_REVISION: revision},
                "creationTimestamp": NOW,
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"bge-{revision}-5c4d", "controller": True}],
            },
            "status": {"podIP": "10.0.0.7", "conditions": conditions, **status},
        }
    )


def a_publication(**changes: Any) -> Publication:
    """What is published about `search/bge`, which asks for no key, with these changes."""
    base = Publication(
        config_map_name="bge-milvus",
        namespace="search",
        function_name="bge",
        input_field="text",
        endpoint="http://bge.search.svc:8000",
        model="BAAI/bge-reranker-v2-m3",
        model_revision=None,
        max_length=8192,
        max_client_batch_size=256,
        truncate_prompt_tokens=-1,
        revision="5f8d7c",
    )
    return dataclasses.replace(base, **changes)


def observed(resource: Object | None = None, **parts: Any) -> Observed:
    """What is observed of a reranker of which nothing exists yet, except these parts."""
    found = resource or a_resource()
    reranker = RerankService.model_validate({k: v for k, v in found.items() if k != "status"})
    return Observed(resource=found, reranker=reranker, at=AT, **parts)


def deployed(number: int = 1, *, pods: tuple[Pod, ...] | None = None, **spec: Any) -> Observed:
    """Everything that brings a revision up exists, and one ready pod that nobody has asked yet."""
    revision = hash_of(**spec)
    stored = a_revision(number, **spec)
    return observed(
        a_resource(**spec),
        revisions={revision: stored},
        files={revision: without_data(build_files_config_map(stored))},
        deployments={revision: build_deployment(stored, int(spec.get("replicas", 1)))},
        pods=(a_pod(revision),) if pods is None else pods,
    )


def serving(**spec: Any) -> Observed:
    """A reranker that is verified, switched to and published."""
    base = deployed(**spec)
    revision = hash_of(**spec)
    owner = base.resource
    service = build_service(base.wanted, owner, revision)
    publication = build_publication(base.wanted, owner, facts_of(base.revisions[revision]), revision, BATCH)
    return dataclasses.replace(base, service=service, publications=(publication,), records=right(base.pods))


def changed(before: Observed, **spec: Any) -> Observed:
    """The same cluster after the user has edited the spec."""
    resource = a_resource(**spec)
    resource["metadata"]["generation"] = before.resource["metadata"]["generation"] + 1
    return dataclasses.replace(before, resource=resource, reranker=a_reranker(**spec))


def with_candidate(before: Observed, candidate: Observed) -> Observed:
    """`before` with everything of `candidate` beside it."""
    return dataclasses.replace(
        before,
        revisions={**before.revisions, **candidate.revisions},
        files={**before.files, **candidate.files},
        deployments={**before.deployments, **candidate.deployments},
        pods=(*before.pods, *candidate.pods),
    )


def right(pods: tuple[Pod, ...]) -> Mapping[str, Record]:
    """A right verdict for each pod."""
    record = Record(RIGHT, 0, AT + 300, BATCH, 0.02, (0.002, 0.998), OverlongDocuments.TRUNCATED)
    return {pod.uid: record for pod in pods}


def wrong(
    pod: Pod, reason: Reason = Reason.RANKING_WRONG, ask_again_at: float = 0.0, failures: int = 1
) -> Mapping[str, Record]:
    """A wrong verdict for a pod, the last of so many."""
    return {pod.uid: Record(Verdict(reason, "POST /rerank scored badly"), failures, ask_again_at)}


def without_data(config_map: Object) -> Object:
    """Engine files as the mirror keeps them: without their text."""
    kept = copy.deepcopy(config_map)
    del kept["data"]
    return kept


def names_of(objects: tuple[Object, ...]) -> list[tuple[str, str]]:
    """Kind and name of each object."""
    return [(o["kind"], o["metadata"]["name"]) for o in objects]
