"""One operator and a burst of rerankers: what it costs until all are Ready, and what it does afterwards."""

import asyncio
import functools
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench import audit
from tests.bench.api import CONNECTIONS, Api, side_by_side
from tests.bench.drift import measure_drift
from tests.bench.errors import BenchError
from tests.bench.process_use import cpu_seconds, memory_mib
from tests.bench.rerankers import COLLECTION, a_reranker, encode
from tests.bench.results import Burst, Drift, Window
from tests.bench.stage import fresh_stage
from tests.bench.watching import Convergence, converge
from tests.cluster.control_plane import ControlPlane
from tests.functional.operator_process import OperatorProcess

# The last reranker that becomes Ready gets its Event after its status, by which the benchmark sees it.
LAST_WRITES_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 15.0


class OperatorRun(NamedTuple):
    """What a run gave, without the floor."""

    burst: Burst
    quiet: Window
    restart: Window
    stop_seconds: float
    drift: Drift
    idle_mib: float
    max_mib: float


def measure_operator(count: int, restart_seconds: float) -> OperatorRun:
    """Run the operator on a fresh control plane with `count` rerankers; watch it so long after its restart.

    Raises BenchError with the end of the operator's log when the rerankers do not become Ready.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, fresh_stage() as control_plane:
        operator = OperatorProcess(control_plane.kubeconfig, Path(folder, "operator.log"))
        with operator:
            try:
                return _measure(control_plane, operator, count, restart_seconds)
            except BenchError as error:
                raise BenchError(f"{error}; the operator's log ends:\n{operator.log_text[-4000:]}") from error


def _measure(control_plane: ControlPlane, operator: OperatorProcess, count: int, restart_seconds: float) -> OperatorRun:
    log = control_plane.audit_log
    idle, _ = memory_mib(operator.pid)
    burst = _burst(control_plane, operator, count)
    quiet = _watch_it(operator, log, QUIET_SECONDS)
    _, most_before = memory_mib(operator.pid)
    stopping = time.monotonic()
    operator.stop()
    stop_seconds = time.monotonic() - stopping
    restart = _restart(operator, log, restart_seconds)
    _, most_after = memory_mib(operator.pid)
    drift = measure_drift(control_plane.kubeconfig, count)
    return OperatorRun(burst, quiet, restart, stop_seconds, drift, idle, max(most_before, most_after))


def _burst(control_plane: ControlPlane, operator: OperatorProcess, count: int) -> Burst:
    cpu_before = cpu_seconds(operator.pid)
    done = asyncio.run(_create(control_plane.kubeconfig, count))
    cpu = cpu_seconds(operator.pid) - cpu_before
    time.sleep(LAST_WRITES_SECONDS)
    requests = audit.between(audit.read_requests(control_plane.audit_log), done.started, time.time())
    return Burst(
        workloads_seconds=audit.last_created(requests, "deployments") - done.started,
        ready_seconds=done.ready_seconds,
        writes=audit.our_writes(requests),
        reads=audit.our_reads(requests),
        kopf_requests=audit.kopf_requests(requests),
        cpu_seconds=cpu,
        published_seconds=audit.publishing_seconds(requests),
    )


async def _create(kubeconfig: Path, count: int) -> Convergence:
    bodies = [encode(a_reranker(number)) for number in range(count)]
    async with Api.connected(kubeconfig, CONNECTIONS + 1) as api:
        jobs = [functools.partial(api.send, "POST", COLLECTION, body) for body in bodies]
        return await converge(api, COLLECTION, "", count, lambda: side_by_side(jobs))


def _watch_it(operator: OperatorProcess, log: Path, seconds: float) -> Window:
    """Let some seconds pass."""
    started, cpu_before = time.time(), cpu_seconds(operator.pid)
    time.sleep(seconds)
    return _window(log, started, cpu_seconds(operator.pid) - cpu_before)


def _restart(operator: OperatorProcess, log: Path, seconds: float) -> Window:
    """Start the operator, which takes a part of these seconds, and let the rest of them pass."""
    started = time.time()
    operator.start()
    time.sleep(max(0.0, started + seconds - time.time()))
    return _window(log, started, cpu_seconds(operator.pid))


def _window(log: Path, started: float, cpu: float) -> Window:
    ended = time.time()
    writes = audit.our_writes(audit.between(audit.read_requests(log), started, ended))
    return Window(seconds=ended - started, writes=writes, cpu_seconds=cpu)
