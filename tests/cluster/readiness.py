"""Whether the node's cluster can be used: node ready, GPUs counted, names resolved."""

import os
import socket
import ssl
import struct
from typing import Any

from tests.cluster import network
from tests.cluster.kubectl import get, get_object
from tests.cluster.node_config import GPU_COUNT, URL

_DNS_SECONDS = 0.3
_ADDRESS_RECORD, _INTERNET = 1, 1


def what_is_missing(tls: ssl.SSLContext) -> str:
    """Return, in words, the first thing that is not as it must be; an empty text when all is well."""
    if get(f"{URL}/readyz", tls) is None:
        return "the API server is ready"
    node = get_object(f"{URL}/api/v1/nodes/{network.NODE_NAME}", tls)
    if node is None or not _is_true(node, "Ready"):
        return "the node is Ready"
    if node["status"]["allocatable"].get("nvidia.com/gpu") != str(GPU_COUNT):
        return f"the node offers {GPU_COUNT} GPUs"
    if not resolves("kubernetes.default.svc.cluster.local", network.DNS_ADDRESS):
        return "cluster DNS answers"
    return ""


def resolves(name: str, server: str) -> bool:
    """Return whether a DNS server knows an IPv4 address for a name."""
    number = os.urandom(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0)
    question = labels + b"\0" + struct.pack("!HH", _ADDRESS_RECORD, _INTERNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(_DNS_SECONDS)
        try:
            link.connect((server, 53))
            link.send(header + question)
            answer = link.recv(512)
        except OSError:
            return False
    flags, _, answers = struct.unpack("!HHH", answer[2:8])
    return answer[:2] == number and flags & 0x000F == 0 and answers > 0


def _is_true(thing: dict[str, Any], kind: str) -> bool:
    conditions = thing.get("status", {}).get("conditions", [])
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
