"""The cluster that the demo runs in, through kubectl and helm, and the objects that the demo adds to it."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.demo.errors import DemoError

CREATED_BY: Final = {"rerank-operator.io/created-by": "demo"}
STARTED_CLUSTER: Final = "rerank-operator.io/started-by-demo"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster, and the programs to reach it.

    `ours` is True for the node that this repository starts: the machine and the cluster share files and
    addresses. Anywhere else only the API server is reachable.
    """

    kubeconfig: Path
    kubectl_program: str
    helm_program: str
    ours: bool

    @property
    def kubectl_prefix(self) -> str:
        """What a person types in front of kubectl's arguments."""
        return f"KUBECONFIG={self.kubeconfig} {self.kubectl_program}"

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl and return what it prints; raise DemoError with its error output."""
        return self._run(self.kubectl_program, arguments, stdin)

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it prints; raise DemoError with its error output."""
        return self._run(self.helm_program, arguments, "")

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(items))

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """Return an object, or None if it is not there."""
        where = ("--namespace", namespace) if namespace else ()
        text = self.kubectl("get", kind, name, *where, "--ignore-not-found", "--output", "json")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def get_all(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind in all namespaces; none if the kind is not installed."""
        try:
            text = self.kubectl("get", kind, "--all-namespaces", "--output", "json")
        except DemoError as error:
            if "the server doesn't have a resource type" in str(error):
                return []
            raise
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    @contextlib.contextmanager
    def forwarded(self, service: str, namespace: str, port: int) -> Iterator[str]:
        """Forward a free loopback port to a Service for as long as the block lasts; yield its address."""
        command = [
            *(self.kubectl_program, "port-forward", "--namespace", namespace),
            *("--address", "127.0.0.1", f"service/{service}", f":{port}"),
        ]
        with subprocess.Popen(
            command, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                first = process.stdout.readline() if process.stdout else ""
                forwarding = re.search(r"127\.0\.0\.1:(\d+)", first)
                if forwarding is None:
                    raise DemoError(f"kubectl port-forward to service/{service} failed: {first.strip()}")
                yield f"http://127.0.0.1:{forwarding[1]}"
            finally:
                process.terminate()

    def _run(self, program: str, arguments: tuple[str, ...], stdin: str) -> str:
        done = subprocess.run(
            [program, *arguments],
            input=stdin,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(f"{Path(program).name} {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}


def given_cluster(kubeconfig: Path) -> Cluster:
    """Use a cluster that somebody else runs; raise DemoError if a program or the file is missing."""
    if not kubeconfig.is_file():
        raise DemoError(f"--kubeconfig {kubeconfig} is no file: name the kubeconfig of a cluster")
    missing = [program for program in ("kubectl", "helm") if shutil.which(program) is None]
    if missing:
        raise DemoError(f"{' and '.join(missing)} not found in PATH: install it to use a cluster of your own")
    return Cluster(kubeconfig.resolve(), "kubectl", "helm", ours=False)


def namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Build a namespace that the demo may delete again."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**labels, **CREATED_BY}},
    }


def is_created_by_demo(found: dict[str, Any] | None) -> bool:
    """Whether an object carries the demo's label."""
    return found is not None and CREATED_BY.items() <= found["metadata"].get("labels", {}).items()


def model_volume(name: str, claim: str, namespace: str, folder: Path) -> list[dict[str, Any]]:
    """Build a volume over a folder of this machine, and the claim that is bound to it."""
    size, storage_class = "1Gi", "demo-models"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": CREATED_BY},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": claim,
                "namespace": namespace,
            },
        },
    }
    bound = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": storage_class,
            "volumeName": name,
            "resources": {"requests": {"storage": size}},
        },
    }
    return [volume, bound]
