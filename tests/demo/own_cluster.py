"""The cluster that this repository starts on a bare machine, with images and a model that are made here."""

import dataclasses
import shutil
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.cluster import binaries, node, progress
from tests.demo.kubernetes import Cluster
from tests.demo.progress import step
from tests.engine.tiny_reranker import ensure_model
from tests.images.loading import load_engine, load_operator

BYTES_PER_MEGABYTE: Final = 1e6


@dataclasses.dataclass(frozen=True)
class Parts:
    """What was made on this machine and loaded into the cluster."""

    operator_image: str
    model: Path

    @property
    def model_description(self) -> str:
        """What the model is, so that nobody takes it for more."""
        size = sum(file.stat().st_size for file in self.model.iterdir()) / BYTES_PER_MEGABYTE
        return f"a {size:.1f} MB cross-encoder trained on this machine: it knows 16 capitals and nothing else"


def start(console: Console) -> tuple[Cluster, bool]:
    """Return the running cluster, and whether it had to be started for the demo."""
    with step("Build the programs of a Kubernetes node", console) as running:
        missing = binaries.missing()
        progress.build_missing(console=console)
        running.outcome = "" if missing else "all are in the cache"
    with step("Start a Kubernetes node on this machine", console) as running:
        was_there = node.running() is not None
        started = node.up(report=running.say)
        running.outcome = "it runs already" if was_there else ""
    return _cluster(started.kubeconfig), not was_there


def running() -> Cluster | None:
    """Return the running cluster, or None."""
    found = node.running()
    return None if found is None else _cluster(found.kubeconfig)


def stop(console: Console) -> None:
    """End the cluster."""
    with step("Stop the Kubernetes node", console) as running:
        node.down(report=running.say)


def make_parts(console: Console) -> Parts:
    """Build both images and train the model, each only if it is not in the cache, and load the images."""
    with step("Build the operator's image and load it into the node", console) as running:
        running.outcome = operator_image = load_operator(console)
    with step("Pack vLLM for CPU into an image and load it into the node", console) as running:
        running.say("5 GB; three minutes the first time")
        running.outcome = load_engine(console)
    with step("Train the model", console) as running:
        model = ensure_model(console)
        running.outcome = f"{model.name} in the cache"
    return Parts(operator_image, model)


def _cluster(kubeconfig: Path) -> Cluster:
    return Cluster(kubeconfig, _program("kubectl"), _program("helm"), ours=True)


def _program(name: str) -> str:
    """Prefer what a person has installed: it is what the printed commands should name."""
    return name if shutil.which(name) else str(binaries.binary(name))
