"""What becomes of a namespace while an operator works in it, told by the API server's own order of events.

Every event of every watched kind is kept. All kinds share one sequence of resource versions, so a state between
two events is exact: nothing is sampled, and nothing that lasted a millisecond is missed.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import aiohttp

from rerank_operator.api import names
from tests.doubles.kubeconfig import read_access

Object = dict[str, Any]
T = TypeVar("T")
PATHS: Final = {
    "RerankService": f"/apis/{names.API_VERSION}/namespaces/{{}}/{names.PLURAL}",
    "ControllerRevision": "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "Pod": "/api/v1/namespaces/{}/pods",
}
LONGEST_EVENT_BYTES: Final = 4 << 20
CATCH_UP_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.02
# TLS connections say goodbye in the background; a closed loop would cut them off.
GOODBYE_SECONDS: Final = 0.25


class Event(NamedTuple):
    """An object as one write left it; a deleted one as it was last."""

    version: int
    kind: str
    deleted: bool
    obj: Object


class Seen(NamedTuple):
    """What Milvus could meet at one moment.

    `routed` is the revision that the Service selects, `ready` the revisions of the pods that are ready endpoints of
    it, `published` the revision that the ConfigMap describes, and `params` what it says. None and empty: not there.
    """

    version: int
    routed: str | None
    ready: frozenset[str]
    published: str | None
    model: str | None
    params: Object

    @property
    def told(self) -> tuple[Any, ...]:
        """All but the moment."""
        return self[1:]


class Rollout(NamedTuple):
    """Everything that was seen of one change, from before it until after it; `old` None means a first one."""

    seen: list[Seen]
    old: str | None
    new: str


#: What is wrong with a roll-out; empty when nothing is.
Invariant = Callable[[Rollout], str]


class Watcher:
    """Watches one namespace between entering and leaving a `with` block, in a thread of its own."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._access = read_access(kubeconfig)
        self._paths = {kind: path.format(namespace) for kind, path in PATHS.items()}
        self._events: list[Event] = []
        self._live: dict[str, dict[str, Object]] = {kind: {} for kind in PATHS}
        self._last_version: dict[str, int] = {}
        self._revision_of_pod: dict[str, str] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def object(self, kind: str, name: str) -> Object | None:
        """One object as it is, or was an instant ago; None where there is none."""
        return self._live[kind].get(name)

    def objects(self, reranker: str) -> list[Object]:
        """A reranker and all that carries its label, as they are now."""
        return self._call(self._objects(reranker))

    def mark(self) -> int:
        """This moment; give it to `history` later."""
        return self._call(self._catch_up())

    def history(self, reranker: str, since: int) -> list[Seen]:
        """What was to be seen of a reranker's Service at a moment that was marked, and after every change since."""
        return self._call(self._history(reranker, since))

    async def _objects(self, reranker: str) -> list[Object]:
        await self._catch_up()
        return [obj for live in self._live.values() for obj in live.values() if reranker_of(obj) == reranker]

    async def _history(self, reranker: str, since: int) -> list[Seen]:
        await self._catch_up()
        live: dict[tuple[str, str], Object] = {}
        history = [self._see(0, live)]
        for event in sorted(self._events, key=lambda event: event.version):
            if reranker_of(event.obj) != reranker:
                continue
            key = (event.kind, event.obj["metadata"]["name"])
            if event.deleted:
                live.pop(key, None)
            else:
                live[key] = event.obj
            now = self._see(event.version, live)
            if event.version <= since:
                history = [now]
            elif history[-1].told != now.told:
                history.append(now)
        return history

    def _see(self, version: int, live: dict[tuple[str, str], Object]) -> Seen:
        service: Object = next((o for (kind, _), o in live.items() if kind == "Service"), {"spec": {}})
        slices = [o for (kind, _), o in live.items() if kind == "EndpointSlice"]
        publication: Object = next((o for o in live.values() if is_publication(o)), {"metadata": {"labels": {}}})
        data: dict[str, str] = publication.get("data", {})
        return Seen(
            version=version,
            routed=service["spec"].get("selector", {}).get(names.LABEL_REVISION),
            ready=frozenset(self._revision_of_pod[uid] for one in slices for uid in ready_pods(one)),
            published=publication["metadata"]["labels"].get(names.LABEL_REVISION),
            model=data.get("RERANK_MODEL"),
            params=json.loads(data.get("params.json") or "{}"),
        )

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _open(self) -> None:
        self._http = aiohttp.ClientSession(
            self._access.server,
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=LONGEST_EVENT_BYTES,
        )
        for kind, path in self._paths.items():
            version, items = await self._list(path)
            for item in items:
                self._take(kind, "ADDED", item)
            self._watches.append(asyncio.create_task(self._watch(kind, path, version), name=f"watch {kind}"))

    async def _close(self) -> None:
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._http.close()
        await asyncio.sleep(GOODBYE_SECONDS)

    async def _list(self, path: str) -> tuple[int, list[Object]]:
        async with self._http.get(path) as response:
            response.raise_for_status()
            found = await response.json()
        return int(found["metadata"]["resourceVersion"]), found["items"]

    async def _watch(self, kind: str, path: str, version: int) -> None:
        """Follow one kind; the API server ends a watch now and then, and another one goes on where it was."""
        while True:
            query = {"watch": "1", "resourceVersion": str(version)}
            async with self._http.get(path, params=query) as response:
                response.raise_for_status()
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise AssertionError(f"watching {path} broke off: {event['object']}")
                    version = self._take(kind, event["type"], event["object"])

    def _take(self, kind: str, event: str, obj: Object) -> int:
        metadata = obj["metadata"]
        version = int(metadata["resourceVersion"])
        obj["kind"] = kind  # items of a list carry none
        if kind == "Pod":
            self._revision_of_pod[metadata["uid"]] = metadata.get("labels", {}).get(names.LABEL_REVISION, "")
        if event == "DELETED":
            self._live[kind].pop(metadata["name"], None)
        else:
            self._live[kind][metadata["name"]] = obj
        self._last_version[metadata["uid"]] = version
        self._events.append(Event(version, kind, event == "DELETED", obj))
        return version

    async def _catch_up(self) -> int:
        """Wait until everything that the API server has now was seen; returns its version."""
        async with asyncio.timeout(CATCH_UP_SECONDS):
            versions = [await self._catch_up_with(kind, path) for kind, path in self._paths.items()]
        return max(versions)

    async def _catch_up_with(self, kind: str, path: str) -> int:
        version, items = await self._list(path)
        listed = {item["metadata"]["uid"]: int(item["metadata"]["resourceVersion"]) for item in items}
        while self._lags_behind(kind, listed, version):
            for task in self._watches:
                if task.done():
                    task.result()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return version

    def _lags_behind(self, kind: str, listed: dict[str, int], version: int) -> bool:
        """Whether an event is still on its way of what a list of this version holds, or holds no longer."""
        live = {obj["metadata"]["uid"] for obj in self._live[kind].values()}
        return any(self._last_version.get(uid, 0) < known for uid, known in listed.items()) or any(
            uid not in listed and self._last_version[uid] <= version for uid in live
        )


def moves_once(rollout: Rollout) -> str:
    """The Service routes to the old revision, then to the new one, and the ConfigMap follows in the same way."""
    expected = [rollout.old, rollout.new]
    routed = [revision for revision, _ in itertools.groupby(seen.routed for seen in rollout.seen)]
    published = [revision for revision, _ in itertools.groupby(seen.published for seen in rollout.seen)]
    return "" if routed == published == expected else f"not once {expected}: routed {routed}, published {published}"


def never_serves_two_revisions(rollout: Rollout) -> str:
    """Ready endpoints belong to one revision, so that the scores of one search come from one model."""
    return next((f"two revisions serve: {seen}" for seen in rollout.seen if len(seen.ready) > 1), "")


def never_without_endpoints(rollout: Rollout) -> str:
    """Once something serves, something always does. Only where there is room for a candidate beside it."""
    served = False
    for seen in rollout.seen:
        if served and not seen.ready:
            return f"nothing serves: {seen}"
        served = served or bool(seen.ready)
    return "" if served else "nothing ever served"


def never_without_params(rollout: Rollout) -> str:
    """What was published once is always there and whole."""
    published = False
    for seen in rollout.seen:
        whole = bool(seen.published and seen.model and seen.params.get("endpoint"))
        if not whole and (published or seen.published):
            return f"the published params are missing or blank: {seen}"
        published = published or whole
    return ""


def never_published_before_routed(rollout: Rollout) -> str:
    """The ConfigMap describes only a revision to which the Service routes or has routed."""
    routed: set[str | None] = {None}
    for seen in rollout.seen:
        routed.add(seen.routed)
        if seen.published not in routed:
            return f"published, but never routed to: {seen}"
    return ""


def reranker_of(obj: Object) -> str | None:
    """Return the name of the reranker that an object is or belongs to."""
    if obj["kind"] == names.KIND:
        return str(obj["metadata"]["name"])
    # A slice is found by its Service, which is called as the reranker is.
    name = "kubernetes.io/service-name" if obj["kind"] == "EndpointSlice" else names.LABEL_RERANKER
    label: str | None = obj["metadata"].get("labels", {}).get(name)
    return label


def is_publication(obj: Object) -> bool:
    """Return whether an object is the ConfigMap that applications read."""
    labels = obj["metadata"].get("labels", {})
    return obj["kind"] == "ConfigMap" and bool(labels.get(names.LABEL_ROLE) == names.ROLE_PUBLICATION)


def ready_pods(endpoint_slice: Object) -> list[str]:
    """Return the uids of the pods to which a Service sends requests."""
    endpoints = endpoint_slice.get("endpoints") or []
    return [endpoint["targetRef"]["uid"] for endpoint in endpoints if endpoint["conditions"].get("ready")]
