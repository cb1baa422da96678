"""A bare Kubernetes control plane on loopback: etcd, API server and controllers, but no node.

It starts in a few seconds, needs no privileges, and several can run at once. Pods are created by the
controllers and stay Pending, since nothing schedules or runs them.
"""

import random
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.binaries import binary
from tests.cluster.components import ApiServer, api_server_flags, etcd_flags
from tests.cluster.errors import ClusterError, KubectlError
from tests.cluster.kubectl import get, run_kubectl, tls_context
from tests.cluster.network import SERVICE_RANGE
from tests.cluster.pki import Authority
from tests.cluster.processes import Child, wait_until

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
)
# Below the range from which the kernel takes ports for outgoing connections.
_PORTS = range(20000, 32000)
_START_SECONDS = 60.0
# The API server insists on announcing an address that is not loopback; nobody ever uses it.
_DOCUMENTATION_ADDRESS = "192.0.2.1"


class ControlPlane:
    """A control plane that runs between entering and leaving a `with` block.

    `manifests` are applied before the controllers start. Give CRDs here whose objects own others: the
    garbage collector looks for new kinds only every 30 s, and at its start.
    """

    def __init__(
        self,
        *,
        manifests: Sequence[Path] = (),
        controllers: Sequence[str] = CONTROLLERS,
        scheduler: bool = False,
        api_server_flags: Sequence[str] = (),
    ) -> None:
        self._manifests = manifests
        self._controllers = controllers
        self._scheduler = scheduler
        self._api_server_flags = api_server_flags
        self._children: list[Child] = []
        self._api_server: Child | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="control-plane-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self.audit_log = self.folder / "audit.log"
        self._api_port, self._etcd_port, self._peer_port = _free_ports(3)
        self.url = f"https://127.0.0.1:{self._api_port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when objects are accepted and controllers act on them.

        Raises StartError with the end of a log, and MissingBinaryError before anything is built.
        """
        self._create_identities()
        etcd = self._run("etcd", *etcd_flags(self.folder / "etcd", self._etcd_port, self._peer_port))
        health = f"http://127.0.0.1:{self._etcd_port}/health"
        wait_until(lambda: get(health) is not None, "etcd is healthy", seconds=_START_SECONDS, needed=[etcd])
        self.start_api()
        if self._manifests:
            files = [argument for path in self._manifests for argument in ("--filename", str(path))]
            self.kubectl("apply", "--server-side", *files)
            self._wait_for_new_kinds()
        self._start_controllers()

    def stop(self) -> None:
        """End all processes and remove the folder; can be repeated."""
        for child in reversed(self._children):
            child.kill()
        self._children.clear()
        self._api_server = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as cluster administrator and return what it prints.

        Raises KubectlError with its error output.
        """
        return run_kubectl(self.kubeconfig, *arguments, stdin=stdin)

    def start_api(self) -> None:
        """Start the API server and wait until it is ready, on the same port as before."""
        self._api_server = self._run("kube-apiserver", *self._api_server_flag_list())
        self._wait_for_api("the API server is ready")

    def stop_api(self) -> None:
        """End the API server at once: connections are refused until `start_api`."""
        server = self._running_api_server()
        server.kill()
        self._children.remove(server)
        self._api_server = None

    def restart_api(self) -> None:
        """Kill the API server and start it again on the same data."""
        self.stop_api()
        self.start_api()

    def pause_api(self) -> None:
        """Suspend the API server: connections are accepted and nothing is answered until `resume_api`."""
        self._running_api_server().send(signal.SIGSTOP)

    def resume_api(self) -> None:
        """Let a suspended API server go on, and wait until it answers."""
        self._running_api_server().send(signal.SIGCONT)
        self._wait_for_api("the API server answers again")

    def _running_api_server(self) -> Child:
        if self._api_server is None:
            raise ClusterError("the API server does not run: call start_api() first")
        return self._api_server

    def _run(self, program: str, *flags: str) -> Child:
        child = Child(program, [binary(program), *flags], self.folder / f"{program}.log")
        self._children.append(child)
        return child

    def _create_identities(self) -> None:
        authority = Authority(self.folder / "pki")
        authority.create_signing_key("service-accounts")
        authority.issue_server("api-server", "/CN=kube-apiserver", ["localhost", "127.0.0.1"])
        admin = authority.issue_client("admin", "admin", "system:masters")
        authority.write_kubeconfig(self.kubeconfig, self.url, admin)
        # One identity for all controllers: the rights of each are not what is tested here, and handing
        # each its own token takes longer than starting it.
        for user in ("kube-controller-manager", "kube-scheduler"):
            holder = authority.issue_client(user, f"system:{user}", "system:masters")
            authority.write_kubeconfig(self.folder / f"{user}.kubeconfig", self.url, holder)
        self._tls = tls_context(authority.certificate, admin)

    def _api_server_flag_list(self) -> list[str]:
        server = ApiServer(
            address="127.0.0.1",
            port=self._api_port,
            advertised=_DOCUMENTATION_ADDRESS,
            etcd_port=self._etcd_port,
            service_range=SERVICE_RANGE,
            authorization="RBAC",
            pki=self.folder / "pki",
            audit_policy=Path(__file__).parent / "config" / "audit-policy.yaml",
            audit_log=self.audit_log,
        )
        return [*api_server_flags(server), *self._api_server_flags]

    def _start_controllers(self) -> None:
        client = ["--kube-api-qps=2000", "--kube-api-burst=4000", "--leader-elect=false", "--secure-port=0"]
        kubeconfig = self.folder / "kube-controller-manager.kubeconfig"
        manager = self._run(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(self._controllers)}",
            "--endpointslice-updates-batch-period=0s",
            "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-gc-syncs=40",
            *client,
        )
        needed = [manager]
        if self._scheduler:
            scheduler_config = f"--kubeconfig={self.folder / 'kube-scheduler.kubeconfig'}"
            needed.append(self._run("kube-scheduler", scheduler_config, *client))
        wait_until(self._controllers_act, "the controllers act", seconds=_START_SECONDS, needed=needed)

    def _controllers_act(self) -> bool:
        """Return whether a controller has made the object that it makes first."""
        return self._is_found("/api/v1/namespaces/default/serviceaccounts/default")

    def _wait_for_api(self, what: str) -> None:
        wait_until(
            lambda: self._is_found("/readyz"),
            what,
            seconds=_START_SECONDS,
            needed=[self._running_api_server()],
        )

    def _wait_for_new_kinds(self) -> None:
        """Wait until discovery lists the kind of each CRD, which is a moment after the CRD itself is there."""
        wanted = set(self.kubectl("get", "crds", "--output=jsonpath={.items[*].metadata.name}").split())
        wait_until(
            lambda: wanted <= self._discovered(),
            f"the API server lists {', '.join(sorted(wanted))}",
            seconds=_START_SECONDS,
            needed=[self._running_api_server()],
        )

    def _discovered(self) -> set[str]:
        """Return the names of all kinds, asked for anew, and as the garbage collector asks."""
        try:
            return set(self.kubectl("api-resources", "--output=name").split())
        except KubectlError:
            return set()

    def _is_found(self, path: str) -> bool:
        return get(self.url + path, self._tls) is not None


def _free_ports(count: int) -> list[int]:
    """Return ports of loopback on which nobody listens at the moment."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"no {count} free ports in {_PORTS}: end what listens there")
