"""Start the node's servers in their order, remember them, and tell which have ended."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from tests.cluster import network
from tests.cluster.binaries import binary
from tests.cluster.errors import ClusterError
from tests.cluster.images import CONTAINERD_SOCKET, ctr, import_own_images
from tests.cluster.kubectl import get, run_kubectl, tls_context
from tests.cluster.namespaces import enter_command, run_inside
from tests.cluster.node_config import URL, NodeFolders, commands, rendered_files
from tests.cluster.pki import Authority, Certificate
from tests.cluster.processes import Detached, ProcessId, spawn_detached, wait_until

_SECONDS = 60.0
_AFTER_API_SERVER = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "fakegpu")


class Record(BaseModel):
    """What is remembered of a running cluster, in a file of its state folder."""

    fingerprint: str
    servers: dict[str, ProcessId] = {}


@dataclass(frozen=True)
class NodeServers:
    """The servers inside the namespaces that the process `init` holds open."""

    folders: NodeFolders
    init: int

    def start_all(self, done: Callable[[str], None]) -> None:
        """Start every server and the cluster's own pods, each as soon as what it needs is there.

        Raises StartError with the end of the log of the server that failed.
        """
        tls = tls_context(*_create_identities(self.folders.pki))
        _write_files(self.folders)
        self._write(Record(fingerprint=fingerprint(self.folders)))
        etcd = self.start("etcd")
        # The API server tries again until etcd answers, and needs longest, so the rest happens beside it.
        api_server = self.start("kube-apiserver")
        self._forget_old_containers()
        self._wait_for_containerd(self.start("containerd"))
        import_own_images()
        done("containerd runs and has the cluster's own images")
        wait_until(
            lambda: get(f"{URL}/readyz", tls) is not None,
            "the API server is ready",
            seconds=_SECONDS,
            needed=[etcd, api_server],
        )
        for name in _AFTER_API_SERVER:
            self.start(name)
        manifest = str(self.folders.config / "coredns.yaml")
        run_kubectl(self.folders.pki / "admin.kubeconfig", "apply", "--server-side", "--filename", manifest)
        done("all servers are started")

    def start(self, name: str) -> Detached:
        """Start one server and remember it."""
        command = enter_command(self.init, commands(self.folders)[name])
        server = spawn_detached(name, command, self._log(name))
        record = self._read()
        record.servers[name] = server.process
        self._write(record)
        return server

    def restart(self, name: str) -> None:
        """Kill one server and start it again."""
        record = self._read()
        if name not in record.servers:
            raise ClusterError(f"no server {name!r}: known are {', '.join(record.servers)}")
        self._kill(record.servers[name])
        self.start(name)

    def running(self) -> list[Detached]:
        """Return the servers that were started, whether they still run or not."""
        return [Detached(name, process, self._log(name)) for name, process in self._read().servers.items()]

    def dead(self) -> list[str]:
        """Return the names of the servers that should run and do not."""
        running = {server.name for server in self.running() if server.is_running()}
        return [name for name in commands(self.folders) if name not in running]

    def fingerprint(self) -> str:
        """Return the fingerprint with which the cluster was started; empty when that is not known."""
        return self._read().fingerprint

    def _kill(self, entered: ProcessId) -> None:
        """End the server inside the namespaces; the process that entered them for it ends with it."""
        for process in entered.children():
            process.kill()
        wait_until(lambda: not entered.is_running(), "the server has ended", seconds=_SECONDS)

    def _forget_old_containers(self) -> None:
        """Remove what containerd's store knows of the pods of an earlier node.

        Only with Kubernetes' part of containerd absent: it would keep them in memory.
        """
        store = self.folders.image_store
        if not store.exists():
            return
        for remembered in store.glob("io.containerd.grpc.v1.cri/*/*"):
            shutil.rmtree(remembered)
        config = self.folders.config / "containerd-without-kubernetes.toml"
        command = enter_command(self.init, ["containerd", "--config", config])
        cleaner = spawn_detached("containerd", command, self._log("containerd"))
        self._wait_for_containerd(cleaner)
        # An import that was broken off keeps a lease on its half of an image for a day.
        for kind in ("containers", "leases"):
            old = ctr(kind, "list", "--quiet").split()
            if old:
                ctr(kind, "delete", *old)
        self._kill(cleaner.process)

    def _wait_for_containerd(self, server: Detached) -> None:
        def answers() -> bool:
            try:
                run_inside(self.init, ["ctr", "--address", CONTAINERD_SOCKET, "version"])
            except ClusterError:
                return False
            return True

        wait_until(answers, "containerd answers", seconds=_SECONDS, needed=[server])

    def _log(self, name: str) -> Path:
        return self.folders.logs / f"{name}.log"

    def _read(self) -> Record:
        try:
            return Record.model_validate_json(self._record_file.read_text())
        except (OSError, ValueError):
            return Record(fingerprint="")

    def _write(self, record: Record) -> None:
        unfinished = self._record_file.with_suffix(".tmp")
        unfinished.write_text(record.model_dump_json())
        unfinished.replace(self._record_file)

    @property
    def _record_file(self) -> Path:
        return self.folders.state / "servers.json"


def fingerprint(folders: NodeFolders) -> str:
    """Return a hash of all that a cluster is started from; equal ones can stand for each other."""
    built = [str(binary(name)) for name in ("coredns", "pause")]
    text = repr((sorted(rendered_files(folders).items()), commands(folders), built))
    return hashlib.sha256(text.encode()).hexdigest()


def _write_files(folders: NodeFolders) -> None:
    for name, text in rendered_files(folders).items():
        path = folders.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _create_identities(folder: Path) -> tuple[Path, Certificate]:
    """Create all certificates and kubeconfigs; return the authority's certificate and the administrator's."""
    authority = Authority(folder)
    authority.create_signing_key("service-accounts")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1"]
    addresses = [network.NODE_ADDRESS, network.API_SERVICE_ADDRESS]
    authority.issue_server("api-server", "/CN=kube-apiserver", names + addresses)
    user = f"system:node:{network.NODE_NAME}"
    serving = [network.NODE_NAME, network.NODE_ADDRESS]
    authority.issue_server("kubelet", f"/O=system:nodes/CN={user}", serving)
    authority.issue_client("api-server-client", "api-server", "system:masters")
    authority.issue_client("front-proxy", "front-proxy")
    admin = authority.issue_client("admin", "admin", "system:masters")
    authority.write_kubeconfig(folder / "admin.kubeconfig", URL, admin)
    kubelet = authority.issue_client("kubelet-client", user, "system:nodes")
    authority.write_kubeconfig(folder / "kubelet-client.kubeconfig", URL, kubelet)
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        holder = authority.issue_client(name, f"system:{name}")
        authority.write_kubeconfig(folder / f"{name}.kubeconfig", URL, holder)
    return authority.certificate, admin
