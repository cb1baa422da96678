"""A puppet that stands in for the kubelets of a control plane without nodes.

It watches pods and writes the status that a kubelet would, so that Deployments become available and pods have
an address, and posts the Events that go with it. It runs no container: an ``EngineDouble`` at the pod's address
answers for it. By default pods are on no node; the API server then removes a deleted pod at once. With ``nodes``
it plays those nodes for a real scheduler: it acts only on pods that were given a node, and removes a deleted one as
its behaviour says. As a kubelet does, it leaves pods alone that have ended for good.

Light enough for a thousand pods beside an API server on two cores: one watch, one write per pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from tests.doubles.kubeconfig import read_access
from tests.doubles.pod_status import Behaviour, Pod, PodEvent, Status, becomes_ready, keep_times

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

CONNECTIONS = 8
RETRY_SECONDS = 0.1
LAST_TURNS_SECONDS = 0.05
GOODBYE_SECONDS = 0.25
LONGEST_EVENT_BYTES = 4 << 20
BAD_REQUEST = 400
OVERTAKEN = frozenset({404, 409})
REFUSED = frozenset({400, 401, 403, 405, 415, 422})
# Replaces lists as a whole: no words of an earlier condition stay behind.
PATCH_TYPE = {"Content-Type": "application/merge-patch+json"}
ENDED = {"Failed", "Succeeded"}
# What a pod that recovers does not say any more.
NOTHING_TO_SAY = {"reason": None, "message": None}
# The API server taints each new node until its kubelet reports.
NODE_IS_READY = {"type": "Ready", "status": "True", "reason": "KubeletReady"}


class RefusedError(RuntimeError):
    """The API server will never take what the puppet writes; the message holds its answer."""


class KubeletPuppet:
    """Plays the kubelet for the pods that match ``selector``, from ``start()`` until ``stop()``.

    ``namespace`` None means every namespace; one puppet per namespace keeps tests apart.
    ``behaviour(pod)`` decides what becomes of a pod, None means ready after ``ready_after`` seconds.
    ``pod_ip`` is the address of every pod, or makes one for each. ``ready_at`` holds by (namespace, name) the
    time, as of ``time.time()``, at which a pod was written as ready.
    """

    def __init__(
        self,
        kubeconfig: Path,
        selector: str = "",
        *,
        namespace: str | None = None,
        ready_after: float = 0.2,
        behaviour: Callable[[Pod], Behaviour | None] = lambda _pod: None,
        pod_ip: str | Callable[[Pod], str] = "127.0.0.1",
        nodes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._access = read_access(kubeconfig)
        self._selector = selector
        self._path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self._default = becomes_ready(ready_after)
        self._behaviour = behaviour
        self._pod_ip = pod_ip
        self._nodes = nodes or {}
        self.ready_at: dict[tuple[str, str], float] = {}
        self._pods: dict[str, Pod] = {}
        self._behaviours: dict[str, Behaviour] = {}
        self._conditions: dict[str, list[dict[str, Any]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listed = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="kubelet-puppet", daemon=True)
        self._main: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin; return when the pods that exist have been listed. Raise what went wrong before that."""
        self._thread.start()
        self._listed.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Leave every pod as it is. Raise what the API server refused meanwhile."""
        if self._main is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> bool:
        """Whether ``stop()`` will raise."""
        return self._failure is not None

    def refresh(self) -> None:
        """Ask ``behaviour`` again about every pod, and play those to which something else happens now."""
        self._loop.call_soon_threadsafe(self._play_what_changed)

    def _run(self) -> None:
        self._main = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - start() raises it in the thread that asked
            self._failure = error
        finally:
            self._listed.set()
            # TLS connections say goodbye in the background; a closed loop would cut them off.
            self._loop.run_until_complete(asyncio.sleep(GOODBYE_SECONDS))
            self._loop.close()

    async def _serve(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS + 1, ssl=self._access.tls)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        session = aiohttp.ClientSession(
            self._access.server, connector=connector, timeout=timeout, read_bufsize=LONGEST_EVENT_BYTES
        )
        try:
            async with session as self._http:
                await self._be_kubelets()
        finally:
            # An aborted TLS connection is gone some turns of the loop later; a loop closed before that leaks it.
            await asyncio.sleep(LAST_TURNS_SECONDS)

    async def _be_kubelets(self) -> None:
        try:
            for name, resources in self._nodes.items():
                await self._add_node(name, resources)
            await self._follow()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self) -> None:
        """List, then watch, and again from the start whenever the watch breaks off."""
        while True:
            try:
                version = await self._list()
                self._listed.set()
                await self._watch(version)
            except aiohttp.ClientError:
                if not self._listed.is_set():
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self) -> str:
        async with self._http.get(self._path, params={"labelSelector": self._selector}) as response:
            response.raise_for_status()
            pods = await response.json()
        present = {pod["metadata"]["uid"]: pod for pod in pods["items"]}
        for uid in set(self._pods) - set(present):
            self._forget(uid)
        for pod in present.values():
            self._meet(pod)
        return str(pods["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        query = {"labelSelector": self._selector, "resourceVersion": version, "watch": "1"}
        async with self._http.get(self._path, params=query) as response:
            response.raise_for_status()
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self._forget(event["object"]["metadata"]["uid"])
                else:
                    self._meet(event["object"])

    def _meet(self, pod: Pod) -> None:
        """Act on a pod that is new, was given a node, or was deleted; ignore what the puppet wrote itself."""
        known = self._pods.get(pod["metadata"]["uid"])
        self._pods[pod["metadata"]["uid"]] = pod
        if known is None or turning_points(known) != turning_points(pod):
            self._play(pod)

    def _play_what_changed(self) -> None:
        for uid, pod in self._pods.items():
            if self._behaviours.get(uid) is not (self._behaviour(pod) or self._default):
                self._play(pod)

    def _play(self, pod: Pod) -> None:
        bound = "nodeName" in pod["spec"]
        if self._nodes and not bound:
            return
        if "deletionTimestamp" in pod["metadata"]:
            if bound:
                self._schedule(pod, self._remove(pod, self._behaviour(pod) or self._default))
            return
        if pod.get("status", {}).get("phase") not in ENDED:
            behaviour = self._behaviours[pod["metadata"]["uid"]] = self._behaviour(pod) or self._default
            self._schedule(pod, self._live(pod, behaviour))

    def _schedule(self, pod: Pod, coroutine: Coroutine[Any, Any, None]) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._tasks:
            self._tasks[uid].cancel()
        self._tasks[uid] = self._loop.create_task(coroutine)
        self._tasks[uid].add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()

    def _forget(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._behaviours.pop(uid, None)
        self._conditions.pop(uid, None)
        if task := self._tasks.pop(uid, None):
            task.cancel()

    async def _live(self, pod: Pod, behaviour: Behaviour) -> None:
        for stage in behaviour.stages():
            await asyncio.sleep(stage.after)
            await self._write(pod, stage)

    async def _write(self, pod: Pod, behaviour: Behaviour) -> None:
        ip = self._pod_ip if isinstance(self._pod_ip, str) else self._pod_ip(pod)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._write_status(pod, behaviour.status(pod, ip, now))
        for event in behaviour.events:
            await self._until_accepted("POST", events_path(pod), event_about(pod, event, now))
        key = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if behaviour.ready:
            self.ready_at[key] = time.time()
        else:
            self.ready_at.pop(key, None)

    async def _write_status(self, pod: Pod, status: Status) -> None:
        uid = pod["metadata"]["uid"]
        written = keep_times(status, self._conditions.get(uid) or pod.get("status", {}).get("conditions", []))
        self._conditions[uid] = written["conditions"]
        patch = {"status": {**NOTHING_TO_SAY, **written}}
        await self._until_accepted("PATCH", f"{pod_path(pod)}/status", patch, PATCH_TYPE)

    async def _remove(self, pod: Pod, behaviour: Behaviour) -> None:
        await asyncio.sleep(behaviour.stop_after)
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._until_accepted("DELETE", pod_path(pod), body)

    async def _add_node(self, name: str, resources: Mapping[str, str]) -> None:
        amounts = {"cpu": "64", "memory": "512Gi", "pods": "2000", **resources}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [NODE_IS_READY]}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        }
        await self._until_accepted("POST", "/api/v1/nodes", node)
        await self._until_accepted("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}}, PATCH_TYPE)
        await self._until_accepted("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, PATCH_TYPE)

    async def _until_accepted(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a write until the API server has judged it; it may be down or busy, or the object gone."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with self._http.request(method, path, json=body, headers=headers) as response:
                    if response.status < BAD_REQUEST or response.status in OVERTAKEN:
                        return
                    if response.status in REFUSED:
                        raise RefusedError(f"{method} {path}: {response.status} {await response.text()}")
            await asyncio.sleep(RETRY_SECONDS)


def turning_points(pod: Pod) -> tuple[bool, bool]:
    """Return what a kubelet reacts to: whether the pod has a node, and whether it has been deleted."""
    return "nodeName" in pod["spec"], "deletionTimestamp" in pod["metadata"]


def pod_path(pod: Pod) -> str:
    """Return the path of a pod in the API."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def events_path(pod: Pod) -> str:
    """Return the path of the Events in the namespace of a pod."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/events"


def event_about(pod: Pod, event: PodEvent, now: str) -> dict[str, Any]:
    """Return the Event as the recorder of a kubelet posts it for the first time."""
    metadata = pod["metadata"]
    about = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", **about},
        "source": {"component": "kubelet"},
        **event._asdict(),
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }
