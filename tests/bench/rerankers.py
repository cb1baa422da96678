"""The rerankers of a benchmark, and the objects that each of them comes to."""

import dataclasses
import json
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.clients.kube import KINDS, RERANKERS, Kind
from rerank_operator.controller.pods import Pod
from rerank_operator.controller.status import build_status
from rerank_operator.controller.times import seconds_of
from rerank_operator.controller.values import Observed, Record
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.verdict import RIGHT
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.revision import EngineImages, build_revision, facts_of, revision_hash
from rerank_operator.resources.service import build_service
from rerank_operator.settings import Settings
from tests.bench.stage import NAMESPACE

Object = dict[str, Any]
MODEL: Final = "BAAI/bge-reranker-v2-m3"
COLLECTION: Final = RERANKERS.path(NAMESPACE)
# Stands in children for the uid that the API server will give to their owner.
UID: Final = "00000000-0000-0000-0000-000000000000"


@dataclasses.dataclass(frozen=True)
class Write:
    """One request with its body, which holds `UID` where the owner's uid belongs."""

    path: str
    body: bytes


@dataclasses.dataclass(frozen=True)
class Written:
    """Everything that a bare loop has to write for one reranker."""

    reranker: Write
    children: tuple[Write, ...]
    status: Write


def reranker_name(number: int) -> str:
    """Names of equal length, so that all rerankers cost the same."""
    return f"reranker-{number:05}"


def a_reranker(number: int) -> Object:
    """The smallest resource that there is."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": reranker_name(number), "namespace": NAMESPACE},
        "spec": {"model": {"name": MODEL}},
    }


def everything_of(number: int, now: str) -> Written:
    """Return what the operator has written for a reranker once it is Ready; `now` is an RFC 3339 time.

    The operator's own builders make the objects, so the floor follows when they change.
    """
    resource = a_reranker(number)
    observed = _ready(resource)
    assert observed.service is not None
    children = (
        *observed.revisions.values(),
        *observed.files.values(),
        *observed.deployments.values(),
        observed.service,
        *observed.publications,
    )
    metadata = resource["metadata"]
    status = {
        **{field: resource[field] for field in ("apiVersion", "kind")},
        "metadata": {**metadata, "uid": UID},
        "status": build_status(dataclasses.replace(observed, at=seconds_of(now))),
    }
    return Written(
        Write(COLLECTION, encode(resource)),
        tuple(Write(_collection_of(child), encode(child)) for child in children),
        Write(RERANKERS.path(NAMESPACE, metadata["name"], "status"), encode(status)),
    )


def _ready(resource: Object) -> Observed:
    """What the operator would see of a reranker that is Ready."""
    stored = {**resource, "metadata": {**resource["metadata"], "uid": UID, "generation": 1}}
    reranker: RerankService = RerankService.model_validate(stored)
    revision = revision_hash(reranker.spec)
    images = EngineImages(Settings().engine_images)
    snapshot = build_revision(reranker, stored, revision, images, 1)
    conditions = [{"type": "Ready", "status": "True"}]
    labels = names.revision_labels(reranker.metadata.name, revision)
    pod = Pod.of(
        {
            "metadata": {"name": "pod", "uid": "pod", "labels": labels, "creationTimestamp": "2026-11-24T12:00:00Z"},
            "status": {"conditions": conditions},
        }
    )
    return Observed(
        resource=stored,
        reranker=reranker,
        revisions={revision: snapshot},
        files={revision: build_files_config_map(snapshot)},
        deployments={revision: build_deployment(snapshot, 1)},
        service=build_service(reranker, stored, revision),
        publications=(build_publication(reranker, stored, facts_of(snapshot), revision, Batch(256, 256)),),
        pods=(pod,),
        records={pod.uid: Record(RIGHT, batch=Batch(256, 256))},
    )


def encode(obj: Object) -> bytes:
    """An object as the body of a request."""
    return json.dumps(obj, separators=(",", ":")).encode()


def owned(body: bytes, uid: str) -> bytes:
    """The same body with the owner's real uid."""
    return body.replace(UID.encode(), uid.encode())


def is_ready(obj: Object) -> bool:
    """Whether a reranker or a pod says that it is Ready."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _collection_of(obj: Object) -> str:
    kind: Kind = KINDS[obj["kind"]]
    return kind.path(NAMESPACE)
