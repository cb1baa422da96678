"""What this control plane takes at best: the operator's objects, made beforehand and written by a bare loop."""

import asyncio
import datetime as dt
import functools
from pathlib import Path

from rerank_operator.clients.kube import PODS
from rerank_operator.controller.events import SELECTOR
from tests.bench.api import APPLY, CONNECTIONS, Api, side_by_side
from tests.bench.rerankers import Written, everything_of, owned
from tests.bench.results import Floor
from tests.bench.stage import NAMESPACE, fresh_stage
from tests.bench.watching import Convergence, converge


def measure_floor(count: int) -> Floor:
    """Write everything of `count` rerankers on a fresh control plane, and wait for the pods."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    everything = [everything_of(number, now) for number in range(count)]
    with fresh_stage() as control_plane:
        done = asyncio.run(_write(control_plane.kubeconfig, everything))
    return Floor(written_seconds=done.acted_seconds, ready_seconds=done.ready_seconds)


async def _write(kubeconfig: Path, everything: list[Written]) -> Convergence:
    async with Api.connected(kubeconfig, CONNECTIONS + 1) as api:
        jobs = [functools.partial(_write_one, api, written) for written in everything]
        return await converge(api, PODS.path(NAMESPACE), SELECTOR, len(jobs), lambda: side_by_side(jobs))


async def _write_one(api: Api, written: Written) -> None:
    reranker = await api.send("POST", written.reranker.path, written.reranker.body)
    uid = reranker["metadata"]["uid"]
    for child in written.children:
        await api.send("POST", child.path, owned(child.body, uid))
    status = f"{written.status.path}?fieldManager=bare-loop&force=true"
    await api.send("PATCH", status, owned(written.status.body, uid), APPLY)
