"""A pod that searches all the time, so that a test can see what a change costs those who search."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.demo.documents import QUESTION, answer_for, documents
from tests.load import search_load
from tests.load.search_load import LoadResult, SearchLoad
from tests.node.conftest import NAMESPACE, Demo

PROGRAM: Final = Path(search_load.__file__).read_text(encoding="utf-8")
POD: Final = "searches"
# Sent from inside: deleting the pod would take its log along.
END: Final = ("python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")


@dataclasses.dataclass
class Searching:
    """A load that runs; `result` is there once it has ended."""

    demo: Demo
    result: LoadResult | None = None

    def wait_for_answer_from(self, model: str, seconds: float = 180) -> None:
        """Wait until a model has scored for the load."""
        self._wait_for(f'{{"first answer from": "{model}"', seconds)

    def wait_for_answers_again(self, seconds: float = 180) -> None:
        """Wait until there was an answer after an outage of some seconds."""
        self._wait_for('{"answers again from": ', seconds)

    def end(self) -> LoadResult:
        """End the load after the searches in flight, print its figures, and return the result."""
        self.demo.kubectl("exec", POD, "--", *END)
        self.demo.wait_until(lambda: self._phase() in {"Succeeded", "Failed"}, 60)
        assert self._phase() == "Succeeded", self._log()
        self.result = LoadResult.from_json(self._log().splitlines()[-1])
        print(self.result.figures())
        return self.result

    def _wait_for(self, line: str, seconds: float) -> None:
        self.demo.wait_until(lambda: self._phase() != "Pending" and line in self._log(), seconds)

    def _log(self) -> str:
        return self.demo.kubectl("logs", POD)

    def _phase(self) -> str:
        return self.demo.kubectl("get", "pod", POD, "--output", "jsonpath={.status.phase}")


@contextlib.contextmanager
def searching(demo: Demo, service: str, model: str) -> Iterator[Searching]:
    """Search through a Service for as long as the block lasts, from the first answer of `model` on."""
    right = answer_for("France")
    others = tuple(text for text in documents() if text != right)
    load = SearchLoad(f"http://{service}.{NAMESPACE}.svc:8000", QUESTION, right, others)
    demo.apply(load_pod(load))
    try:
        running = Searching(demo)
        running.wait_for_answer_from(model)
        yield running
    finally:
        demo.kubectl("delete", "pod", POD, "--grace-period", "1")


def load_pod(load: SearchLoad) -> dict[str, Any]:
    """Build the pod, at the restricted level, on the engine's image for its Python."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "searches",
                    "image": "localhost/vllm-cpu:0.32.0",
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", PROGRAM, load.to_json()],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
