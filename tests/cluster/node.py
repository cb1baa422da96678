"""The one full cluster of this machine: a control plane and a node that runs pods, in namespaces of its own.

`up` returns a running one, made anew unless a healthy one of the same build is there; `down` removes every
trace. The images that were imported stay in the cache for the next one.
"""

import fcntl
import os
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups, namespaces, network, packages
from tests.cluster.cache import cache_dir
from tests.cluster.errors import ClusterError, LeftoverError, StartError
from tests.cluster.images import store_dir
from tests.cluster.kubectl import run_kubectl, tls_context
from tests.cluster.node_config import NodeFolders
from tests.cluster.node_servers import NodeServers, fingerprint
from tests.cluster.pki import Certificate
from tests.cluster.processes import wait_until
from tests.cluster.readiness import checks

CHECKOUT = Path(__file__).resolve().parents[2]
# A pod that was killed is back within seconds; a cluster that needs longer is made anew.
_HEALING_SECONDS = 20.0
_START_SECONDS = 120.0

Report = Callable[[str], None]
"""Takes a line about what goes on."""


@dataclass(frozen=True)
class Node:
    """A running cluster."""

    kubeconfig: Path
    """Cluster administrator; for programs of the host."""
    folders: NodeFolders

    @property
    def audit_log(self) -> Path:
        """Return the API server's audit log: one JSON object in each line."""
        return self.folders.audit_log

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as cluster administrator and return what it prints.

        Raises KubectlError with its error output.
        """
        return run_kubectl(self.kubeconfig, *arguments, stdin=stdin)

    def restart(self, server: str) -> None:
        """Kill one server, such as "kubelet", and start it again."""
        NodeServers(self.folders, running_init(self.folders)).restart(server)

    def set_unhealthy_gpus(self, *ids: str) -> None:
        """Let the node report these GPUs ("fake-0", "fake-1") as unhealthy, and all others as healthy."""
        self.folders.unhealthy_gpus.write_text("\n".join(ids))

    def run(self, *command: str) -> str:
        """Run a command in the namespaces of the node and return what it prints.

        Raises ClusterError with its error output.
        """
        return namespaces.run_inside(running_init(self.folders), command)


def folders() -> NodeFolders:
    """Return where this machine's cluster keeps what."""
    return NodeFolders(cache_dir() / "cluster", store_dir())


def up(checkout: Path = CHECKOUT, report: Report = print) -> Node:
    """Return the running cluster and write `.cluster/kubeconfig` into the checkout.

    Raises ClusterError when something that it needs is missing, StartError when a server fails.
    """
    _check_prerequisites()
    with _lock(report):
        place = folders()
        if _is_reusable(place, report):
            report("the running cluster is healthy and stays")
        else:
            _take_down(place)
            _start(place, report)
        node = Node(checkout / ".cluster" / "kubeconfig", place)
        node.set_unhealthy_gpus()
        _copy_kubeconfig(place, node.kubeconfig)
        return node


def down(report: Report = print) -> None:
    """End the cluster and remove its traces; can be repeated, and works after any crash.

    Raises LeftoverError when something is still there afterwards.
    """
    _check_root()
    with _lock(report):
        place = folders()
        _take_down(place)
        report(f"the cluster is down; logs are in {place.logs}, imported images in {place.image_store}")


def running(checkout: Path = CHECKOUT) -> Node | None:
    """Return the running cluster without starting or mending one, or None."""
    place = folders()
    if namespaces.init_pid(place.state) is None:
        return None
    return Node(checkout / ".cluster" / "kubeconfig", place)


def running_init(place: NodeFolders | None = None) -> int:
    """Return the process id of the running cluster's init.

    Raises ClusterError when no cluster runs.
    """
    init = namespaces.init_pid((place or folders()).state)
    if init is None:
        raise ClusterError("no cluster runs: start one with `python -m tests.cluster up`")
    return init


def problem(place: NodeFolders) -> str:
    """Return, in words, what is wrong with the cluster right now; an empty text when it is healthy."""
    init = namespaces.init_pid(place.state)
    if init is None:
        return "no cluster runs"
    dead = NodeServers(place, init).dead()
    if dead:
        return f"{', '.join(dead)} ended"
    lacking = [what for what, holds in checks(_admin_tls(place)).items() if not holds()]
    return f"it is not so that {lacking[0]}" if lacking else ""


def _is_reusable(place: NodeFolders, report: Report) -> bool:
    init = namespaces.init_pid(place.state)
    if init is None:
        return False
    servers = NodeServers(place, init)
    if servers.fingerprint() != fingerprint(place):
        report("the running cluster was made by another version of tests/cluster: making it anew")
        return False
    dead = servers.dead()
    if dead:
        report(f"the running cluster is broken ({', '.join(dead)} ended): making it anew")
        return False
    place.unhealthy_gpus.write_text("")
    try:
        _wait_until_usable(place, servers, _HEALING_SECONDS, lambda _: None)
    except StartError as error:
        report(f"the running cluster does not recover: making it anew\n{error}")
        return False
    return True


def _start(place: NodeFolders, report: Report) -> None:
    began = time.monotonic()

    def done(what: str) -> None:
        report(f"{time.monotonic() - began:5.1f} s  {what}")

    network.check_ranges_are_free()
    shutil.rmtree(place.state, ignore_errors=True)
    place.logs.mkdir(parents=True, mode=0o700)
    namespaces.create_mount_points()
    init = namespaces.start_init(place.state)
    network.connect(init)
    namespaces.cover_folders(init, place.state)
    for command in network.node_commands():
        namespaces.run_inside(init, command)
    cgroups.create()
    servers = NodeServers(place, init)
    servers.start_all(done)
    _wait_until_usable(place, servers, _START_SECONDS, done)


def _wait_until_usable(place: NodeFolders, servers: NodeServers, seconds: float, report: Report) -> None:
    for what, holds in checks(_admin_tls(place)).items():
        wait_until(holds, what, seconds=seconds, needed=servers.running())
        report(what)


def _take_down(place: NodeFolders) -> None:
    namespaces.check_no_other_node_runs(place.state)
    namespaces.end(place.state)
    network.disconnect()
    cgroups.remove()
    namespaces.remove_mount_points()
    found = namespaces.leftovers(place.state) + network.leftovers() + cgroups.leftovers()
    if found:
        raise LeftoverError(
            f"still there after taking the cluster down: {'; '.join(found)}. Run `down` once more; if it "
            "stays, look who holds it with `ps`, `ip route`, `mount` and /sys/fs/cgroup"
        )
    for secret in (place.pki, place.state / "etcd", place.state / "kubelet"):
        shutil.rmtree(secret, ignore_errors=True)


def _admin_tls(place: NodeFolders) -> ssl.SSLContext:
    admin = Certificate(place.pki / "admin.crt", place.pki / "admin.key")
    return tls_context(place.pki / "ca.crt", admin)


def _copy_kubeconfig(place: NodeFolders, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    target.write_text((place.pki / "admin.kubeconfig").read_text())


def _check_prerequisites() -> None:
    _check_root()
    lacking: Sequence[str] = packages.missing()
    if lacking:
        raise ClusterError(f"missing {', '.join(lacking)}: run `python -m tests.cluster packages`")


def _check_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("only root can make the namespaces of a node: run this as root")


@contextmanager
def _lock(report: Report) -> Iterator[None]:
    """Let one `up` or `down` happen at a time; the others wait."""
    with (cache_dir() / "cluster.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another `up` or `down` to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
