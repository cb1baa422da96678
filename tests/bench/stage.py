"""Where a benchmark takes place: a fresh control plane, a puppet for its pods and one engine that answers for all."""

import random
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from rerank_operator.api import names
from tests.bench import pods
from tests.bench.errors import BenchError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import Child, wait_until
from tests.contract.generate import CRD_FILE

NAMESPACE: Final = "bench"
POD_READY_SECONDS: Final = 2.0
START_SECONDS: Final = 30.0


@contextmanager
def fresh_stage() -> Iterator[ControlPlane]:
    """A control plane with nothing in it but the CRD and an empty namespace, until the end of the `with` block."""
    with ControlPlane(manifests=[CRD_FILE]) as control_plane, ExitStack() as stack:
        control_plane.kubectl("create", "namespace", NAMESPACE)
        address = _free_address()
        for name, ready, arguments in (
            ("engine", "http://", ["tests.doubles.engine", "--host", address, "--model", ""]),
            ("pods", pods.READY, ["tests.bench.pods", *_puppet_flags(control_plane, address)]),
        ):
            log = control_plane.folder / f"{name}.log"
            child = Child(name, [sys.executable, "-m", *arguments], log)
            stack.callback(child.stop)
            _wait_for_words(child, ready)
        yield control_plane


def _puppet_flags(control_plane: ControlPlane, address: str) -> list[str]:
    flags = {"kubeconfig": control_plane.kubeconfig, "address": address, "ready-after": POD_READY_SECONDS}
    return [f"--{name}={value}" for name, value in flags.items()]


def _wait_for_words(child: Child, words: str) -> None:
    """Wait until a process has said in its log that it is ready."""
    wait_until(
        lambda: words in child.log.read_text(encoding="utf-8"),
        f"{child.name} says {words!r}",
        seconds=START_SECONDS,
        needed=[child],
    )


def _free_address() -> str:
    """Return an address of loopback on which the engine's port is free; the port itself is fixed."""
    for _ in range(100):
        address = f"127.{random.randint(64, 127)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as candidate:
            try:
                candidate.bind((address, names.ENGINE_PORT))
            except OSError:
                continue
        return address
    raise BenchError(f"port {names.ENGINE_PORT} is taken on all of 127.0.0.0/8: end what listens on 0.0.0.0 there")
