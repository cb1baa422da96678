"""A cluster that consists of a few objects, in place of the API server's client."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition, ConditionType, merge_conditions
from rerank_operator.api.reasons import Reason
from rerank_operator.clients.kube import KINDS, Kind, KubeClient
from tests.builders import NOW, a_resource

Object = dict[str, Any]
REVISION = "5f8d7c01"
POD_UID = "uid-of-bge-1"


def a_status(*conditions: Condition, generation: int = 1, **fields: Any) -> Object:
    """The status that an operator would have written with these conditions."""
    merged = merge_conditions([], conditions, generation, NOW)
    return {"observedGeneration": generation, "conditions": merged, **fields}


def ready(status: str = "False", reason: Reason = Reason.ENGINE_STARTING, detail: str = "") -> Condition:
    """The condition Ready."""
    return Condition(ConditionType.READY, "True" if status == "True" else "False", reason, detail)


def stalled(reason: Reason, detail: str = "") -> Condition:
    """The condition that no waiting helps."""
    return Condition(ConditionType.STALLED, "True", reason, detail)


def a_reranker(*conditions: Condition, namespace: str = "search", **fields: Any) -> Object:
    """The reranker `bge` with such a status; without any conditions nobody has looked at it."""
    resource = a_resource()
    resource["metadata"] |= {"namespace": namespace, "resourceVersion": "1"}
    status = a_status(*conditions, activeRevision=REVISION, **fields) if conditions else {}
    return {**resource, "status": status}


def a_model_pod(status: Object, name: str = "bge-1") -> Object:
    """A pod of the reranker, with what a kubelet writes about it."""
    labels = names.revision_labels("bge", REVISION)
    metadata = {"name": name, "namespace": "search", "uid": f"uid-of-{name}", "labels": labels}
    spec = {"nodeName": "node-1", "containers": [{"name": "vllm", "image": "vllm/vllm-openai:v0.32.0"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "creationTimestamp": NOW},
        "spec": spec,
        "status": status,
    }


def an_event(reason: str, message: str, at: str = NOW, kind: str = "Pod", name: str = "bge-1") -> Object:
    """An Event as a kubelet posts it."""
    about = {"kind": kind, "name": name, "uid": f"uid-of-{name}"}
    return {
        "metadata": {"creationTimestamp": at},
        "involvedObject": about,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "count": 3,
    }


class ScriptedCluster:
    """Answers what `KubeClient` would. An error in the place of an answer is raised.

    `logs` are by pod name and whether the previous run is asked for. `changes` is what a watch yields. A dry run
    stores what it is given, unless `refusal` is raised; `tried` are its methods and fields.
    """

    namespace = "default"

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str | None], list[Object] | Exception] = {}
        self.events: dict[str, list[Object] | Exception] = {}
        self.logs: dict[tuple[str, bool], str | Exception] = {}
        self.changes: Iterable[Object] = ()
        self.asked_logs: list[tuple[str, str, bool]] = []
        self.tried: list[tuple[str, dict[str, str]]] = []
        self.refusal: Exception | None = None
        self.keda = False
        self.closed = False

    def put(self, namespace: str | None, *objects: Object) -> None:
        """Add objects of one kind; of no namespace what the whole cluster has."""
        self.objects[objects[0]["kind"], namespace] = list(objects)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        found = _answer(self.objects.get((kind.kind, namespace), []))
        return next((obj for obj in found if obj["metadata"]["name"] == name), None)

    async def pages(
        self, kind: Kind, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[tuple[list[Object], int]]:
        found = _answer(self.objects.get((kind.kind, namespace), []))
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        for obj in found:
            if wanted.items() <= obj["metadata"].get("labels", {}).items():
                yield [obj], 1

    async def dry_run(self, method: str, obj: Object, **query: str) -> Object:
        self.tried.append((method, query))
        if self.refusal:
            raise self.refusal
        live = await self.get(KINDS[obj["kind"]], obj["metadata"]["namespace"], obj["metadata"]["name"])
        given = {"uid": "uid-of-bge", "generation": 1}
        return {**(live or {}), **obj, "metadata": {**given, **(live or {}).get("metadata", {}), **obj["metadata"]}}

    async def has_gateway_api(self) -> bool:
        return False

    async def has_keda(self) -> bool:
        return self.keda

    async def events_of(self, namespace: str, uid: str) -> list[Object]:
        del namespace
        return list(_answer(self.events.get(uid, [])))

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 300) -> str:
        del namespace, lines
        self.asked_logs.append((pod, container, previous))
        return str(_answer(self.logs.get((pod, previous), "")))

    async def watch(self, kind: Kind, namespace: str, name: str) -> AsyncGenerator[Object, None]:
        del kind, namespace, name
        for obj in self.changes:
            yield _answer(obj)

    async def close(self) -> None:
        self.closed = True

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Let the command line find this cluster."""

        async def connect(_kubeconfig: str | None, _context: str | None) -> "ScriptedCluster":
            return self

        with mock.patch.object(KubeClient, "connect", connect):
            yield


def _answer(given: Any) -> Any:
    if isinstance(given, Exception):
        raise given
    return given
