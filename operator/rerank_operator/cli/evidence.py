"""Collect what is known of one reranker. Reads only, and no Secrets."""

import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankServiceSpec
from rerank_operator.cli.cluster import Right
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from rerank_operator.controller.diagnose import diagnose
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.times import seconds_of
from rerank_operator.controller.values import Fault

if TYPE_CHECKING:
    from rerank_operator.clients.kube import Kind, KubeClient

MOST_EVENTS: Final = 20
LINES_SHOWN: Final = 20
# Each pod costs a request for its Events, and one that is not ready another for its log.
_MOST_PODS_ASKED: Final = 10
_MOST_LOGS: Final = 3
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Log:
    """The end of an engine's log, of its previous run where it crashed and runs again."""

    pod: str
    previous: bool
    text: str

    @property
    def tail(self) -> list[str]:
        """The lines that are shown."""
        return self.text.splitlines()[-LINES_SHOWN:]


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What was found at `at` (epoch seconds): pods that are not ready first, Events oldest first.

    `logs` are by pod uid. `unreadable` says what could not be read, and why.
    """

    at: float
    resource: Object
    pods: tuple[Object, ...] = ()
    deployments: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    logs: Mapping[str, Log] = dataclasses.field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    def fault(self) -> Fault | None:
        """What keeps the pods of the wanted revision from being ready, as the operator would name it."""
        revision = self._wanted_revision()
        pods = [Pod.of(pod) for pod in self.pods if "deletionTimestamp" not in pod["metadata"]]
        wanted = [pod for pod in pods if revision in (None, pod.revision)]
        deployment = next((d for d in self.deployments if revision in (None, revision_of(d))), None)
        logs = {uid: log.text for uid, log in self.logs.items()}
        return diagnose(wanted, deployment, self._startup_seconds(), self.at, self._said(), logs)

    def _wanted_revision(self) -> str | None:
        status = self.resource.get("status") or {}
        told: str | None = status.get("candidateRevision") or status.get("activeRevision")
        if told or not self.deployments:
            return told
        return revision_of(max(self.deployments, key=lambda d: d["metadata"]["creationTimestamp"]))

    def _startup_seconds(self) -> float:
        try:
            spec = RerankServiceSpec.model_validate(self.resource["spec"])
        except ValidationError:  # of another version of the operator
            return math.inf
        return float(spec.rollout.startup_timeout_seconds)

    def _said(self) -> dict[str, tuple[Said, ...]]:
        said: dict[str, tuple[Said, ...]] = {}
        for event in self.events:
            uid = event["involvedObject"].get("uid", "")
            told = Said(event_time(event), event.get("reason") or "", event.get("message") or "")
            said[uid] = (*said.get(uid, ()), told)
        return said


def revision_of(obj: Object) -> str:
    """The revision that a child belongs to."""
    return str(obj["metadata"].get("labels", {}).get(names.LABEL_REVISION, ""))


def event_time(event: Object) -> float:
    """When (epoch seconds) an Event was last said."""
    series = event.get("series") or {}
    time_ = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return seconds_of(time_ or event["metadata"]["creationTimestamp"])


async def collect(kube: "KubeClient", resource: Object, at: float) -> Evidence:
    """Everything about a reranker that is there; what may not be read is noted, and left out."""
    from rerank_operator.clients.kube import DEPLOYMENTS, PODS  # noqa: PLC0415 - takes most of a second to import

    reading = _Reading(kube, resource["metadata"]["namespace"])
    selector = f"{names.LABEL_RERANKER}={resource['metadata']['name']}"
    pods = sorted(await reading.all(PODS, selector), key=_not_ready_first)
    deployments = await reading.all(DEPLOYMENTS, selector)
    uids = [obj["metadata"]["uid"] for obj in (resource, *pods[:_MOST_PODS_ASKED])]
    return Evidence(
        at=at,
        resource=resource,
        pods=tuple(pods),
        deployments=tuple(deployments),
        events=tuple(sorted(await reading.events(uids), key=event_time)),
        logs=await reading.logs(pods),
        unreadable=tuple(reading.unreadable),
    )


def _not_ready_first(pod: Object) -> tuple[bool, str]:
    return Pod.of(pod).ready, pod["metadata"]["name"]


class _Reading:
    """Requests that may be refused; each refusal is noted once."""

    def __init__(self, kube: "KubeClient", namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self.unreadable: list[str] = []

    async def all(self, kind: "Kind", selector: str) -> list[Object]:
        return await self._or(_every(self._kube.pages(kind, self._namespace, selector)), [])

    async def events(self, uids: Iterable[str]) -> list[Object]:
        found: list[Object] = []
        for uid in uids:
            found += await self._or(self._kube.events_of(self._namespace, uid), [])
        return found

    async def logs(self, pods: Iterable[Object]) -> dict[str, Log]:
        """The logs of some pods that are not ready; those without a log have none."""
        found: dict[str, Log] = {}
        for pod in [p for p in map(Pod.of, pods) if not p.ready][:_MOST_LOGS]:
            previous = _has_crashed(pod)
            text = await self._or(
                self._kube.log(self._namespace, pod.name, names.ENGINE_CONTAINER, previous=previous), ""
            )
            if text.strip():
                found[pod.uid] = Log(pod.name, previous, text)
        return found

    async def _or(self, answer: Awaitable[T], otherwise: T) -> T:
        try:
            return await answer
        except (ApiRejected, ApiUnavailable) as error:
            said = str(Right.missing_in(str(error)) or error)
            if said not in self.unreadable:
                self.unreadable.append(said)
            return otherwise


async def _every(pages: AsyncIterator[tuple[list[Object], int]]) -> list[Object]:
    return [obj async for page, _ in pages for obj in page]


def _has_crashed(pod: Pod) -> bool:
    """Whether the engine runs again after a crash: then its previous run tells why."""
    containers: list[dict[str, Any]] = pod.status.get("containerStatuses", [])
    return any("running" in c.get("state", {}) and c.get("lastState", {}).get("terminated") for c in containers)
