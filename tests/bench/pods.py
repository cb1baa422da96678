"""The puppet kubelet as a process of its own, so that its processor time is nobody else's."""

import threading
from pathlib import Path
from typing import Annotated

import typer

from rerank_operator.controller.events import SELECTOR
from tests.doubles.kubelet import KubeletPuppet

READY = "the puppet plays"


def main(
    kubeconfig: Annotated[Path, typer.Option(help="How to reach the API server.")],
    address: Annotated[str, typer.Option(help="Address of every pod.")],
    ready_after: Annotated[float, typer.Option(help="Seconds from a pod's creation until it is ready.")],
) -> None:
    """Play the kubelet of every model pod until killed."""
    with KubeletPuppet(kubeconfig, SELECTOR, ready_after=ready_after, pod_ip=address):
        print(READY, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    typer.run(main)
