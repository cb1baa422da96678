"""A folder that is called a model, and the step of a pod that reads it, run as the kubelet runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rerank_operator.diagnosis.step_words import read_step
from rerank_operator.engine import check_model, command, preparation
from tests.builders import a_reranker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from rerank_operator.api.reasons import Reason

CLASSIFIER = "XLMRobertaForSequenceClassification"
CONFIG = {
    "architectures": [CLASSIFIER],
    "max_position_embeddings": 514,
    "id2label": {"0": "LABEL_0"},
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 64,
}
CPU, GPU = {"type": "CPU"}, {"type": "NvidiaGPU"}
KEPT_BYTES = 4096


def with_paths(module: ModuleType, paths: Mapping[str, Path], script: Path) -> Path:
    """Write a script with paths of this machine in place of a container's, and return where it is."""
    text = Path(str(module.__file__)).read_text()
    for constant, path in paths.items():
        assert 1 == text.count(f'= "{constant}"')
        text = text.replace(f'= "{constant}"', f"= {str(path)!r}")
    script.write_text(text)
    return script


def obeying_modes() -> list[str]:
    """Return what to start a command with that may read and write only what modes allow, also as root."""
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


class Outcome(NamedTuple):
    """How the step ended, what it left for the kubelet, and the arguments that it wrote for the engine."""

    status: int
    said: dict[str, Any]
    arguments: dict[str, Any] | None

    @property
    def fault(self) -> tuple[Reason, str]:
        """What the operator reads of a step that failed."""
        assert 1 == self.status, self
        return read_step(json.dumps(self.said), "crashed")


class Model:
    """A folder that is called a model, and the step that reads it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "model"
        self.folder.mkdir()
        self.write("config.json", CONFIG)
        self.write("tokenizer.json", {})
        self.write("tokenizer_config.json", {"model_max_length": 8192})
        self.write("model.safetensors", "weights")

    def write(self, name: str, content: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def remove(self, *names: str) -> None:
        for name in names:
            (self.folder / name).unlink()

    def check(self, *, modes: bool = False, name: str = "our/model", **spec: Any) -> Outcome:
        """Run the step for a spec; with `modes` it may read only what modes allow, also where tests run as root."""
        model = {"name": name, **spec.pop("model", {})}
        parsed = a_reranker(**{"accelerator": CPU, **spec, "model": model}).spec
        request = json.loads(preparation.build_request(parsed, command.entry_of(parsed)))
        (self.root / "model.json").write_text(json.dumps({**request, "folder": str(self.folder)}))
        python = [sys.executable, *preparation.check_command()[1:3]]
        words, engine = self.root / "termination-log", self.root / "engine.yaml"
        paths = {check_model.TERMINATION_LOG: words, check_model.ENGINE_FILE: engine}
        script = with_paths(check_model, paths, self.root / preparation.CHECK_FILE)
        done = subprocess.run(
            [*(obeying_modes() if modes else ()), *python, str(script), str(self.root / "model.json")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"LC_ALL": "C"},
        )
        assert "" == done.stderr
        assert words.stat().st_size < KEPT_BYTES
        said = json.loads(words.read_text())
        assert said == json.loads(done.stdout)
        return Outcome(done.returncode, said, json.loads(engine.read_text()) if engine.exists() else None)

    def refuses(self, reason: Reason, *words: str, **spec: Any) -> None:
        """Assert that the step refuses the model for this reason, in these words."""
        found = self.check(**spec)
        assert reason is found.fault[0]
        for word in words:
            assert word in found.fault[1]
        assert None is found.arguments
