"""Folders that look like models and are none: copies of a reranker with one thing wrong, and untrained models."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster.cache import cache_dir
from tests.engine import environment
from tests.engine.build_once import build_once
from tests.engine.tiny_reranker import FIRST_SEED, TrainingError, model_key

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
NOBODY_MAY_READ = 0o000
# Longer than the header of the file, which says where each weight begins.
ENOUGH_FOR_THE_HEADER = 100_000

_UNTRAINED = Path(__file__).resolve().with_name("untrained.py")
_ROOT = _UNTRAINED.parents[2]


def without(name: str) -> Callable[[Path], None]:
    """Break a model by taking a file away."""
    return lambda model: (model / name).unlink()


def configured(**settings: Any) -> Callable[[Path], None]:
    """Break a model by what its configuration says."""

    def configure(model: Path) -> None:
        config = json.loads((model / CONFIG).read_text())
        (model / CONFIG).write_text(json.dumps(config | settings))

    return configure


def cut(name: str, size: int) -> Callable[[Path], None]:
    """Break a model by keeping only the first bytes of a file, as a copy does that was broken off."""

    def shorten(model: Path) -> None:
        (model / name).write_bytes((model / name).read_bytes()[:size])

    return shorten


def unreadable(name: str) -> Callable[[Path], None]:
    """Break a model by forbidding everybody to read a file; root may still, unless it obeys modes."""
    return lambda model: (model / name).chmod(NOBODY_MAY_READ)


def not_a_number(weight: str) -> Callable[[Path], None]:
    """Break a model by a weight that is no number, as one becomes that overflows."""

    def overwrite(model: Path) -> None:
        content = bytearray((model / WEIGHTS).read_bytes())
        length = int.from_bytes(content[:8], "little")
        begin, end = json.loads(content[8 : 8 + length])[weight]["data_offsets"]
        content[8 + length + begin : 8 + length + end] = b"\xff" * (end - begin)
        (model / WEIGHTS).write_bytes(content)

    return overwrite


def with_own_code(model: Path) -> None:
    """Break a model by letting it bring the Python code of its architecture."""
    names = {"AutoConfig": "own.OwnConfig", "AutoModelForSequenceClassification": "own.OwnModel"}
    configured(model_type="own", architectures=["OwnForSequenceClassification"], auto_map=names)(model)
    (model / "own.py").write_text("raise SystemExit('the code of a model was run, though nobody allowed it')\n")


BREAKS: dict[str, Callable[[Path], None]] = {
    "no-config": without(CONFIG),
    "no-weights": without(WEIGHTS),
    "unknown-type": configured(model_type="no-such-type", architectures=["NoSuchModel"]),
    "unknown-architecture": configured(model_type="deberta-v2", architectures=["DebertaV2ForSequenceClassification"]),
    "own-code": with_own_code,
    "cut-config": cut(CONFIG, 100),
    "cut-tokenizer": cut("tokenizer.json", 100),
    "cut-header": cut(WEIGHTS, 1000),
    "cut-weights": cut(WEIGHTS, ENOUGH_FOR_THE_HEADER),
    "no-number": not_a_number("classifier.bias"),
    "unreadable-weights": unreadable(WEIGHTS),
}


def break_model(model: Path, how: str, into: Path) -> Path:
    """Make a copy of a model that is broken as BREAKS says, and return its folder below `into`."""
    copy = Path(shutil.copytree(model, into / how))
    BREAKS[how](copy)
    return copy


def ensure_untrained(kind: str) -> Path:
    """Return the folder of a model with random weights; `kind` is one of `untrained.KINDS`.

    Made once, in some seconds. Raises TrainingError with the end of the output if that fails.
    """
    key = hashlib.sha256(_UNTRAINED.read_bytes() + model_key(FIRST_SEED).encode()).hexdigest()[:12]
    return build_once(cache_dir() / "models" / f"{kind}-{key}", lambda out: _make(kind, out))


def _make(kind: str, out: Path) -> None:
    command = [str(environment.ensure().python), "-W", "ignore", "-m", "tests.engine.untrained", kind, str(out)]
    variables = {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1", "HOME": str(out.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if done.returncode != 0:
        raise TrainingError(f"{kind} was not made:\n{done.stderr[-2000:]}")
