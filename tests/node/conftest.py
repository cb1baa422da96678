"""The real node with the operator in a pod and one real reranker: what `make demo` leaves behind."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demo import own_cluster
from tests.demo.kubernetes import Cluster

NAMESPACE = "demo"
MINUTE = 60
ROOT = Path(__file__).resolve().parents[2]
Object = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Demo:
    """A finished demo: the cluster, and what the demo printed."""

    cluster: Cluster
    output: str

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the demo's namespace."""
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments, stdin=stdin)

    def apply(self, obj: Object) -> None:
        """Apply one object."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(obj))

    def ready(self, name: str) -> Object:
        """The Ready condition of a reranker."""
        found = self.cluster.get("rerankservice", name, NAMESPACE) or {}
        conditions: dict[str, Object] = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        return conditions.get("Ready", {"status": "", "reason": "", "message": ""})

    def wait_until(self, done: Callable[[], object], seconds: float = 3 * MINUTE, pause_seconds: float = 0.5) -> None:
        """Look again and again until something holds. Each look costs a tenth of a second of a processor."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:g} s in vain\n{self.kubectl('get', 'rrs,pods', '-o', 'wide')}")
            time.sleep(pause_seconds)

    def versions(self) -> list[tuple[str, str, str]]:
        """Kind, name and version of the reranker and of everything that the operator made for it."""
        kinds = "rerankservices,deployments,services,configmaps,controllerrevisions"
        items = json.loads(self.kubectl("get", kinds, "--output=json"))["items"]
        return sorted((o["kind"], o["metadata"]["name"], o["metadata"]["resourceVersion"]) for o in items)


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """Run the demo as a person does; afterwards remove it, and stop the node if it was not there before."""
    was_running = own_cluster.running() is not None
    done = demo_command("up")
    assert 0 == done.returncode, done.stdout + done.stderr
    cluster = own_cluster.running()
    assert cluster is not None
    yield Demo(cluster, done.stdout)
    removed = demo_command("down")
    assert 0 == removed.returncode, removed.stdout + removed.stderr
    assert was_running == (own_cluster.running() is not None)


def demo_command(command: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.demo COMMAND`, with a first build of everything in mind."""
    return subprocess.run(
        [sys.executable, "-m", "tests.demo", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * MINUTE,
    )
