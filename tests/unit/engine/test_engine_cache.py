"""What the engine's environment and models are named after in the cache."""

from pathlib import Path

import pytest

from tests.engine import environment, tiny_reranker
from tests.engine.environment import environment_key
from tests.engine.tiny_reranker import FIRST_SEED, SECOND_SEED, model_key


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pins = tmp_path / "pins.txt"
    pins.write_text("torch==2.13.0\n")
    monkeypatch.setattr(environment, "_PINS", pins)
    return pins


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.py").write_text("LEARNING_RATE = 1\n")
    monkeypatch.setattr(tiny_reranker, "_TRAINING", tmp_path)
    return tmp_path


def test_the_same_pins_name_the_same_environment(requirements: Path) -> None:
    before = environment_key()
    requirements.write_text("torch==2.13.0\n")
    assert before == environment_key()


def test_another_pin_names_another_environment(requirements: Path) -> None:
    before = environment_key()
    requirements.write_text("torch==2.13.1\n")
    assert before != environment_key()


def test_another_python_names_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment_key()
    monkeypatch.setattr(environment, "BASE_PYTHON_VERSION", "3.12")
    assert before != environment_key()


def test_the_two_models_have_different_names() -> None:
    assert model_key(FIRST_SEED) != model_key(SECOND_SEED)


def test_other_training_code_names_another_model(training: Path) -> None:
    before = model_key(FIRST_SEED)
    (training / "train.py").write_text("LEARNING_RATE = 2\n")
    assert before != model_key(FIRST_SEED)


def test_other_training_data_names_another_model(training: Path) -> None:
    before = model_key(FIRST_SEED)
    (training / "sentences.py").write_text("CAPITALS = {}\n")
    assert before != model_key(FIRST_SEED)
