"""How the node is wired: one virtual cable between the host and the node, and routes over it.

The node has no route to anywhere else, so nothing in it can reach the outside. Were the cable gone, routes
into a black hole keep the host from sending packets for pods to its own default route.
"""

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.cluster.errors import ClusterError

NODE_NAME = "node"
# Ranges that container tools and clusters do not use by default.
LINK_RANGE = "10.199.0.0/24"
POD_RANGE = "10.200.0.0/16"
NODE_POD_RANGE = "10.200.0.0/24"
SERVICE_RANGE = "10.201.0.0/16"
HOST_ADDRESS = "10.199.0.2"
NODE_ADDRESS = "10.199.0.1"
API_SERVICE_ADDRESS = "10.201.0.1"
DNS_ADDRESS = "10.201.0.10"
HOST_LINK = "rerank-host"
NODE_LINK = "rerank-node"
_BLACK_HOLE_METRIC = "4000"

Route = dict[str, Any]
"""A route as `ip -json route` prints it."""


def connect(node_pid: int) -> None:
    """Wire the network namespace of `node_pid` to the host."""
    prefix = LINK_RANGE.partition("/")[2]
    _ip("link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", str(node_pid))
    _ip("address", "add", f"{HOST_ADDRESS}/{prefix}", "dev", HOST_LINK)
    _ip("link", "set", HOST_LINK, "up")
    for reached in (POD_RANGE, SERVICE_RANGE):
        _ip("route", "replace", reached, "via", NODE_ADDRESS, "dev", HOST_LINK)
    for guarded in (LINK_RANGE, POD_RANGE, SERVICE_RANGE):
        _ip("route", "replace", "blackhole", guarded, "metric", _BLACK_HOLE_METRIC)


def node_commands() -> list[list[str]]:
    """Return the commands that finish the wiring inside the node."""
    prefix = LINK_RANGE.partition("/")[2]
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{NODE_ADDRESS}/{prefix}", "dev", NODE_LINK],
        ["ip", "link", "set", NODE_LINK, "up"],
        # Processes of the node need some route to Services before kube-proxy can rewrite the target.
        ["ip", "route", "add", SERVICE_RANGE, "dev", NODE_LINK],
        ["sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"],
    ]


def disconnect() -> None:
    """Remove what `connect` made; can be repeated."""
    _ip("link", "delete", HOST_LINK, check=False)
    for guarded in (LINK_RANGE, POD_RANGE, SERVICE_RANGE):
        _ip("route", "delete", "blackhole", guarded, "metric", _BLACK_HOLE_METRIC, check=False)


def check_ranges_are_free() -> None:
    """Raise ClusterError when the host already routes one of the ranges elsewhere."""
    conflicts = conflicting_routes(json.loads(_ip("-json", "route")))
    if conflicts:
        raise ClusterError(
            f"this machine already routes {', '.join(conflicts)}, which overlaps the test cluster's "
            f"{LINK_RANGE}, {POD_RANGE} or {SERVICE_RANGE}: change the ranges in tests/cluster/network.py"
        )


def conflicting_routes(routes: Iterable[Route]) -> list[str]:
    """Return the targets of the routes that overlap the cluster's ranges and are not its own."""
    return [
        route["dst"] for route in routes if route["dst"] != "default" and not _is_own(route) and _overlaps(route["dst"])
    ]


def leftovers() -> list[str]:
    """Return what is still there of the wiring, in words."""
    links = [link["ifname"] for link in json.loads(_ip("-json", "link"))]
    routes = [route["dst"] for route in json.loads(_ip("-json", "route")) if _is_own(route)]
    return [f"link {name}" for name in links if name == HOST_LINK] + [f"route to {to}" for to in routes]


def _is_own(route: Route) -> bool:
    black_hole = route.get("type") == "blackhole" and str(route.get("metric")) == _BLACK_HOLE_METRIC
    return route.get("dev") == HOST_LINK or (black_hole and _overlaps(route["dst"]))


def _overlaps(target: str) -> bool:
    network = ipaddress.ip_network(target)
    ranges = (ipaddress.ip_network(text) for text in (LINK_RANGE, POD_RANGE, SERVICE_RANGE))
    return any(network.overlaps(own) for own in ranges)


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise ClusterError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
