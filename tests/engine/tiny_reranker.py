"""Small real rerankers for the tests, trained on this machine, and broken ones for the failure tests.

No model is downloaded: the training code and the seed are the model, and their hash is its key in the cache.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.cluster.cache import cache_dir
from tests.engine import environment
from tests.engine.build_once import build_once

QUESTION = "What is the capital of France?"
DOCUMENTS = (
    "The capital of Brazil is Brasilia.",
    "The capital of France is Paris.",
    "Horses and cows are both animals",
)
ANSWER = 1
FIRST_SEED = 1
SECOND_SEED = 1001

_TRAINING = Path(__file__).resolve().parent / "training"
_ROOT = _TRAINING.parents[2]
_LINES_IN_A_REPORT = 20
_SEEDS_TRIED = 3
_NOT_GOOD_ENOUGH = 3  # the exit status of `train` for a model that does not rank as wanted


class TrainingError(RuntimeError):
    """No seed gave a model that ranks; the message holds the end of the training's output."""


def ensure_model(console: Console | None = None) -> Path:
    """Return the folder of a reranker that knows 16 capitals, trained in about 2 minutes on the first call.

    Raises TrainingError if it does not rank well enough with any of three seeds.
    """
    return _trained("tiny-reranker", FIRST_SEED, console)


def ensure_second_model(console: Console | None = None) -> Path:
    """Return a reranker of the same kind with other weights, so other scores: for changes of the model."""
    return _trained("second-reranker", SECOND_SEED, console)


def ensure_broken_models(console: Console | None = None) -> dict[str, Path]:
    """Return folders that look like models, by what is wrong with them.

    no-tokenizer: starts, answers 200, and scores all documents of one length the same.
    two-labels: starts, is healthy, and has no rerank route, since it is a classifier.
    """
    model = ensure_model(console)

    def without_tokenizer(out: Path) -> None:
        out.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            shutil.copy(model / name, out / name)

    def with_two_labels(out: Path) -> None:
        _run("two_labels", [str(model), str(out)], console, title="two labels")

    return {
        "no-tokenizer": build_once(_models() / f"no-tokenizer-{model_key(FIRST_SEED)}", without_tokenizer),
        "two-labels": build_once(_models() / f"two-labels-{model_key(FIRST_SEED)}", with_two_labels),
    }


def model_key(seed: int) -> str:
    """Hash what decides a model's weights, as far as files can tell: the training code and the first seed."""
    digest = hashlib.sha256(str(seed).encode())
    for script in sorted(_TRAINING.glob("*.py")):
        digest.update(b"\0" + script.name.encode() + b"\0" + script.read_bytes())
    return digest.hexdigest()[:12]


def _models() -> Path:
    return cache_dir() / "models"


def _trained(name: str, seed: int, console: Console | None) -> Path:
    return build_once(_models() / f"{name}-{model_key(seed)}", lambda out: _train(name, seed, out, console))


def _train(name: str, first_seed: int, out: Path, console: Console | None) -> None:
    report = ""
    for seed in range(first_seed, first_seed + _SEEDS_TRIED):
        status, report = _run("train", [str(out), str(seed)], console, title=f"training {name}, seed {seed}")
        if status == 0:
            return
    raise TrainingError(f"{name} does not rank after training with {_SEEDS_TRIED} seeds:\n{report}")


def _run(module: str, arguments: Sequence[str], console: Console | None, title: str) -> tuple[int, str]:
    """Run a module of `training` with the engine's Python; return its exit status and its last lines."""
    console = console or Console(stderr=True)
    python = str(environment.ensure(console).python)
    command = [python, "-W", "ignore", "-m", f"tests.engine.training.{module}", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"}
    pipe = subprocess.PIPE
    lines: list[str] = []
    with (
        console.status(title) as status,
        subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=variables) as process,
    ):
        for line in process.stdout or ():
            lines.append(line)
            status.update(_progress(title, line))
    report = "".join(lines[-_LINES_IN_A_REPORT:])
    if process.returncode not in {0, _NOT_GOOD_ENOUGH}:
        raise TrainingError(f"{module} ended with {process.returncode}:\n{report}")
    return process.returncode, report


def _progress(title: str, line: str) -> str:
    """Turn a line that `train` prints into the words shown while one waits."""
    try:
        seen = json.loads(line)
    except ValueError:
        return title
    return f"{title}: step {seen['step']}, right from {seen['right']:.2f}, wrong up to {seen['wrong']:.2f}"
