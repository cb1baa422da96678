"""What passes between the stages. Frozen; nothing here reads or writes anything."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import NamedTuple

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments, RerankService, VerificationMode
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.times import seconds_of
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.verdict import Verdict
from rerank_operator.resources.allowed_hosts import AllowedHosts
from rerank_operator.resources.revision import revision_hash

Fault = tuple[Reason, str]


class Key(NamedTuple):
    """Which reranker."""

    namespace: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What is known of a pod that was asked, and when to ask again (epoch seconds).

    `failures` counts wrong answers in a row. `seconds` is a small request, `scores` the lowest and the highest one.
    """

    verdict: Verdict
    failures: int = 0
    ask_again_at: float = 0.0
    batch: Batch | None = None
    seconds: float | None = None
    scores: tuple[float, float] | None = None
    overlong: OverlongDocuments | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MilvusRecord:
    """What a Milvus said last, and when to ask it again (epoch seconds).

    `identity` names what was tried: another one has to be tried anew. `failures` counts checks in a row that were not
    right. `version` is what Milvus says of itself, None before it said anything.
    """

    identity: str
    reason: Reason
    detail: str = ""
    version: str | None = None
    failures: int = 0
    ask_again_at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Observed:
    """One reranker and everything that belongs to it, at one moment (`at`, in epoch seconds).

    `events` and `logs` hold by pod uid what explains a pod that does not answer: its Events, oldest first, and the
    last lines of the run of its engine that tells most. `secret_fault` is what is wrong with the Secret of
    `spec.access`. `lacks_claim` tells that the claim for the downloaded model is yet to be created. `records` are
    of pods that are ready and of addresses, `early` of pods that are not ready.

    `copies` are ConfigMaps in other namespaces; `stands` tells of each namespace that has one or is wanted why it gets
    none (None: it gets one), and `copy_faults` what became of them. `milvus` is what a Milvus said last, and
    `milvus_identity` what would be tried now. `hosts` are those that a resource may make the operator call.
    """

    resource: Object
    reranker: RerankService | None
    invalid: str = ""
    at: float = 0.0
    revisions: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    files: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    deployments: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    service: Object | None = None
    publications: tuple[Object, ...] = ()
    budget: Object | None = None
    autoscalers: tuple[Object, ...] = ()
    keda_installed: bool = False
    routes: tuple[Object, ...] = ()
    gateway_api_installed: bool = False
    copies: tuple[Object, ...] = ()
    stands: Mapping[str, Fault | None] = dataclasses.field(default_factory=dict)
    copy_faults: Mapping[str, Fault] = dataclasses.field(default_factory=dict)
    binding: Object | None = None
    milvus: MilvusRecord | None = None
    milvus_identity: str | None = None
    hosts: AllowedHosts = dataclasses.field(default_factory=AllowedHosts)
    pods: tuple[Pod, ...] = ()
    events: Mapping[str, tuple[Said, ...]] = dataclasses.field(default_factory=dict)
    logs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secret_fault: Fault | None = None
    lacks_claim: bool = False
    records: Mapping[str, Record] = dataclasses.field(default_factory=dict)
    early: Mapping[str, Record] = dataclasses.field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    refused: Fault | None = None

    @property
    def wanted(self) -> RerankService:
        """The parsed resource; only for a valid one."""
        if self.reranker is None:
            raise ValueError(self.invalid)
        return self.reranker

    @property
    def key(self) -> Key:
        """Which reranker it is."""
        metadata = self.resource["metadata"]
        return Key(metadata["namespace"], metadata["name"])

    @property
    def external(self) -> str | None:
        """Address of the server that somebody else runs; None where model pods are ours."""
        external = self.wanted.spec.external
        return None if external is None else str(external.endpoint)

    @property
    def milvus_version(self) -> str | None:
        """Version of Milvus: what the spec says, else what Milvus said, else what the status remembers of that."""
        spec = self.wanted.spec.milvus
        if spec.version or spec.connection is None:
            return str(spec.version) if spec.version else None
        if self.milvus and self.milvus.version:
            return self.milvus.version
        told: str | None = self.resource.get("status", {}).get("milvus", {}).get("version")
        return told

    @functools.cached_property
    def desired(self) -> str:
        """Hash of the revision that the spec asks for."""
        return revision_hash(self.wanted.spec)

    @property
    def candidate(self) -> str | None:
        """The desired revision while another one is active."""
        return self.desired if self.active not in (None, self.desired) else None

    @functools.cached_property
    def active(self) -> str | None:
        """Revision that the Service routes to.

        The Service's selector is the only record of it. Where somebody deleted the Service, and where the server is
        somebody else's, the published ConfigMap tells which revision it describes.
        """
        if self.service is not None and self.external is None:
            selector = self.service.get("spec", {}).get("selector") or {}
            revision: str | None = selector.get(names.LABEL_REVISION)
            return revision
        return self.published

    @functools.cached_property
    def published(self) -> str | None:
        """Revision that the ConfigMap describes."""
        for publication in self.publications:
            revision: str | None = publication["metadata"]["labels"].get(names.LABEL_REVISION)
            if revision:
                return revision
        return None

    @property
    def told_of(self) -> str | None:
        """Revision whose pods the status told of last."""
        status = self.resource.get("status", {})
        revision: str | None = status.get("activeRevision") or status.get("candidateRevision")
        return revision

    @property
    def wanted_replicas(self) -> int:
        """Model pods that should run now."""
        spec = self.wanted.spec
        return 0 if spec.suspend or spec.external else int(spec.replicas)

    @property
    def verifies(self) -> bool:
        """Whether pods are asked at all."""
        return self.wanted.spec.verification.mode is VerificationMode.ENABLED

    def takes_over(self, revision: str) -> bool:
        """Whether the active revision made room for this one."""
        return self.active is not None and self.annotations_of(revision).get(names.ANNOTATION_TAKES_OVER) == self.active

    def room_since(self, revision: str) -> float | None:
        """Since when (epoch seconds) no pod of the active revision is in the way of this one."""
        text = self.annotations_of(revision).get(names.ANNOTATION_ROOM_SINCE)
        return None if text is None else seconds_of(text)

    def failure_of(self, revision: str) -> Fault | None:
        """Why this revision was given up, so that the active one could come back."""
        text = self.annotations_of(revision).get(names.ANNOTATION_FAILED)
        if text is None:
            return None
        failure = json.loads(text)
        return Reason(failure["reason"]), str(failure["detail"])

    def annotations_of(self, revision: str) -> Mapping[str, str]:
        """Annotations of a revision's Deployment."""
        deployment = self.deployments.get(revision, {"metadata": {}})
        annotations: Mapping[str, str] = deployment["metadata"].get("annotations", {})
        return annotations

    def pods_of(self, revision: str) -> tuple[Pod, ...]:
        """Pods of a revision that are not on their way out, and have not ended."""
        return tuple(p for p in self.pods if p.revision == revision and not p.terminating and not p.has_ended)

    def ended_pods(self, revision: str) -> tuple[Pod, ...]:
        """Pods of a revision that ended for good; they tell why only as long as no engine runs again."""
        return tuple(pod for pod in self.pods if pod.revision == revision and pod.has_ended)

    def ready_pods(self, revision: str) -> tuple[Pod, ...]:
        """Pods of a revision for which kubelet's own forward pass succeeded."""
        return tuple(pod for pod in self.pods_of(revision) if pod.ready)

    def record_of(self, pod: Pod) -> Record | None:
        """What the pod answered last in the state that it is in."""
        return (self.records if pod.ready else self.early).get(pod.uid)

    def address_record(self, revision: str, url: str) -> Record | None:
        """What was answered under an address while it led to this revision."""
        return self.records.get(subject_of(self.key, revision, url))

    def wrong_verdict(self, revision: str) -> tuple[Pod, Record] | None:
        """The first pod of a revision that answered wrong."""
        for pod in self.pods_of(revision):
            record = self.record_of(pod)
            if record and not record.verdict.right and (pod.ready or not _says_nothing(pod, record.verdict.reason)):
                return pod, record
        return None

    def is_verified(self, revision: str) -> bool:
        """Whether every pod that the revision should have is ready and answered right, or need not be asked."""
        if self.external is not None:
            record = self.address_record(revision, self.external)
            return not self.verifies or (record is not None and record.verdict.right)
        ready = self.ready_pods(revision)
        if not self.verifies:
            return len(ready) >= max(1, self.wanted_replicas)
        right = [pod for pod in ready if pod.uid in self.records and self.records[pod.uid].verdict.right]
        return len(right) == len(ready) and len(right) >= max(1, self.wanted_replicas)

    def batch_of(self, revision: str) -> Batch | None:
        """What one request to this revision may hold.

        The largest request that was asked decides, and of those the slowest answer. What was published counts like
        what a pod answered, so that the number does not change when pods come and go.
        """
        uids = [pod.uid for pod in self.pods_of(revision)]
        if self.external is not None:
            uids.append(subject_of(self.key, revision, self.external))
        measured = [r.batch for uid in uids if (r := self.records.get(uid)) is not None and r.batch is not None]
        if self.published == revision:
            annotations = self.publications[0]["metadata"].get("annotations", {})
            if published := Batch.parse(annotations.get(names.ANNOTATION_BATCH, "")):
                measured.append(published)
        return min(measured, key=lambda batch: (-batch.asked, batch.answered), default=None)

    def is_in_service(self, revision: str) -> bool:
        """Whether the revision was verified before, switched to, and published: the cluster itself says so."""
        return self.active == revision == self.published


def subject_of(key: Key, revision: str, url: str) -> str:
    """Under which name the answers of an address are kept: a pod has its uid, an address leads to a revision."""
    return f"{key.namespace}/{key.name} {revision} {url}"


def key_of(subject: str) -> Key | None:
    """The reranker of an address; None for the uid of a pod."""
    place, blank, _ = subject.partition(" ")
    return Key(*place.split("/")) if blank else None


def _says_nothing(pod: Pod, reason: Reason) -> bool:
    """Whether a pod that is not ready may simply not listen yet."""
    return reason is Reason.ENDPOINT_UNREACHABLE or (reason is Reason.ENGINE_UNRESPONSIVE and not pod.has_started)
