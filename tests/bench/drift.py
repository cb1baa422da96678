"""How fast the operator puts back what somebody else changed."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rerank_operator.api import names
from rerank_operator.clients.kube import DEPLOYMENTS
from tests.bench.api import JSON_PATCH, Api, Object
from tests.bench.errors import BenchError
from tests.bench.rerankers import reranker_name
from tests.bench.results import Drift
from tests.bench.stage import NAMESPACE

TRIALS: Final = 5
LIMIT_SECONDS: Final = 30.0
LOOK_EVERY_SECONDS: Final = 0.005
ARGUMENT: Final = "--enforce-eager"
ADDED_ARGUMENT: Final = [{"op": "add", "path": "/spec/template/spec/containers/0/command/-", "value": ARGUMENT}]


def measure_drift(kubeconfig: Path, count: int) -> Drift:
    """Edit and delete the Deployments of the first rerankers, one after the other."""
    return asyncio.run(_measure(kubeconfig, min(TRIALS, count)))


async def _measure(kubeconfig: Path, trials: int) -> Drift:
    async with Api.connected(kubeconfig) as api:
        names_of_deployments = [await _deployment_of(api, reranker_name(number)) for number in range(trials)]
        edited = [await _edit(api, name) for name in names_of_deployments]
        deleted = [await _delete(api, name) for name in names_of_deployments]
    return Drift(deleted_deployment=deleted, added_argument=edited)


async def _deployment_of(api: Api, reranker: str) -> str:
    selector = {"labelSelector": f"{names.LABEL_RERANKER}={reranker}"}
    found = await api.get(DEPLOYMENTS.path(NAMESPACE), selector)
    if not found or len(found["items"]) != 1:
        raise BenchError(f"reranker {reranker!r} should have one Deployment, found {found}")
    return str(found["items"][0]["metadata"]["name"])


async def _edit(api: Api, name: str) -> float:
    """Seconds until an argument that somebody added to the engine's command is gone."""
    path = DEPLOYMENTS.path(NAMESPACE, name)
    started = time.monotonic()
    await api.send("PATCH", path, json.dumps(ADDED_ARGUMENT).encode(), JSON_PATCH)
    await _until(api, path, lambda deployment: ARGUMENT not in _command(deployment))
    return time.monotonic() - started


async def _delete(api: Api, name: str) -> float:
    """Seconds until a Deployment that somebody deleted is there again."""
    path = DEPLOYMENTS.path(NAMESPACE, name)
    before = await api.get(path)
    if before is None:
        raise BenchError(f"Deployment {name!r} is not there any more")
    uid = before["metadata"]["uid"]
    started = time.monotonic()
    await api.send("DELETE", path, b'{"propagationPolicy":"Background"}')
    await _until(api, path, lambda deployment: deployment["metadata"]["uid"] != uid)
    return time.monotonic() - started


async def _until(api: Api, path: str, is_put_back: Callable[[Object], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while (deployment := await api.get(path)) is None or not is_put_back(deployment):
        if time.monotonic() > deadline:
            raise BenchError(f"{path} was not put back within {LIMIT_SECONDS:g} s, it is: {json.dumps(deployment)}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)  # ends in another process: there is no event to wait for


def _command(deployment: Object) -> list[str]:
    command: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return command
