"""What passes between the stages. Frozen; nothing here reads or writes anything."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.rerank.verdict import Verdict
from rerank_operator.resources.revision import revision_hash

Object = dict[str, Any]


class Key(NamedTuple):
    """Which reranker."""

    namespace: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Pod:
    """A model pod, as far as decisions depend on it."""

    name: str
    uid: str
    revision: str
    ip: str
    ready: bool
    terminating: bool
    status: Object

    @classmethod
    def of(cls, obj: Object) -> "Pod":
        """Read a pod object."""
        metadata, status = obj["metadata"], obj.get("status", {})
        conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            revision=metadata.get("labels", {}).get(names.LABEL_REVISION, ""),
            ip=status.get("podIP", ""),
            ready=conditions.get("Ready") == "True",
            terminating="deletionTimestamp" in metadata,
            status=status,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """The last verdict on a pod, how many wrong ones came in a row, and when to ask again (loop seconds)."""

    verdict: Verdict
    failures: int = 0
    ask_again_at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Observed:
    """One reranker and everything that belongs to it, at one moment."""

    resource: Object
    reranker: RerankService | None
    invalid: str = ""
    revisions: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    files: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    deployments: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    service: Object | None = None
    publications: tuple[Object, ...] = ()
    pods: tuple[Pod, ...] = ()
    records: Mapping[str, Record] = dataclasses.field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    refused: str = ""

    @property
    def wanted(self) -> RerankService:
        """The parsed resource; only for a valid one."""
        if self.reranker is None:
            raise ValueError(self.invalid)
        return self.reranker

    @functools.cached_property
    def desired(self) -> str:
        """Hash of the revision that the spec asks for."""
        return revision_hash(self.wanted.spec)

    @functools.cached_property
    def active(self) -> str | None:
        """Revision that the Service routes to.

        The Service's selector is the only record of it. Where somebody deleted the Service, the published
        ConfigMap still tells which revision it described.
        """
        if self.service is not None:
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
    def wanted_replicas(self) -> int:
        """Model pods that should run now."""
        spec = self.wanted.spec
        return 0 if spec.suspend else int(spec.replicas)

    def pods_of(self, revision: str) -> tuple[Pod, ...]:
        """Pods of a revision that are not on their way out."""
        return tuple(pod for pod in self.pods if pod.revision == revision and not pod.terminating)

    def ready_pods(self, revision: str) -> tuple[Pod, ...]:
        """Pods of a revision for which kubelet's own forward pass succeeded."""
        return tuple(pod for pod in self.pods_of(revision) if pod.ready)

    def wrong_verdict(self, revision: str) -> tuple[Pod, Verdict] | None:
        """The first ready pod of a revision that answered wrong."""
        for pod in self.ready_pods(revision):
            record = self.records.get(pod.uid)
            if record and not record.verdict.right:
                return pod, record.verdict
        return None

    def is_verified(self, revision: str) -> bool:
        """Whether every pod that the revision should have is ready and answered right."""
        ready = self.ready_pods(revision)
        right = [pod for pod in ready if pod.uid in self.records and self.records[pod.uid].verdict.right]
        return len(right) == len(ready) and len(right) >= max(1, self.wanted_replicas)

    def is_in_service(self, revision: str) -> bool:
        """Whether the revision was verified before, switched to, and published: the cluster itself says so."""
        return self.active == revision == self.published


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A pod to verify: where it answers, and the model name it must know."""

    key: Key
    pod_uid: str
    base_url: str
    model: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Every decision of one round. `create` never touches what exists; `update` takes our fields back."""

    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()
    verify: tuple[Target, ...] = ()
    publish: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()
    requeue_after: float | None = None
