"""Whether the node's cluster can be used: node ready, GPUs counted, names resolved."""

import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from tests.cluster import network
from tests.cluster.kubectl import get, get_object
from tests.cluster.node_config import GPU_COUNT, URL

_DNS_SECONDS = 0.3
_ADDRESS_RECORD, _INTERNET = 1, 1


def checks(tls: ssl.SSLContext) -> dict[str, Callable[[], bool]]:
    """Return what must be so, in the order in which it comes about when a cluster starts."""
    return {
        "the API server is ready": lambda: get(f"{URL}/readyz", tls) is not None,
        "the node is Ready": lambda: _is_ready(_node_status(tls)),
        f"the node offers {GPU_COUNT} GPUs": lambda: _gpus(_node_status(tls)) == str(GPU_COUNT),
        "cluster DNS answers": lambda: resolves("kubernetes.default.svc.cluster.local", network.DNS_ADDRESS),
    }


def resolves(name: str, server: str, port: int = 53) -> bool:
    """Return whether a DNS server knows an IPv4 address for a name."""
    number = os.urandom(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0)
    question = labels + b"\0" + struct.pack("!HH", _ADDRESS_RECORD, _INTERNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(_DNS_SECONDS)
        try:
            link.connect((server, port))
            link.send(header + question)
            answer = link.recv(512)
        except OSError:
            return False
    flags, _, answers = struct.unpack("!HHH", answer[2:8])
    return answer[:2] == number and flags & 0x000F == 0 and answers > 0


def _node_status(tls: ssl.SSLContext) -> dict[str, Any]:
    found = get_object(f"{URL}/api/v1/nodes/{network.NODE_NAME}", tls) or {}
    return dict(found.get("status", {}))


def _is_ready(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _gpus(status: dict[str, Any]) -> str | None:
    return dict(status.get("allocatable", {})).get("nvidia.com/gpu")
