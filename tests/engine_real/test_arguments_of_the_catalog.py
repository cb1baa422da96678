"""Every model of the catalog: the arguments that its pods get, read by the parser of the real vLLM."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.models import entries
from rerank_operator.engine.command import ENGINE_FILE
from rerank_operator.resources.pod import build_pod_template
from tests.builders import a_reranker
from tests.engine import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
IMAGE = f"vllm/vllm-openai:v{environment.VLLM_VERSION}"
SERVED = {entry.id: entry for entry in entries() if entry.refusal is None}
UNKNOWN = "nobody/knows-it"
CASES = [(name, kind) for name in (*SERVED, UNKNOWN) for kind in AcceleratorType]
NAMES = [f"{name} on {kind}" for name, kind in CASES]


def command_line(name: str, kind: AcceleratorType) -> list[str]:
    """What the engine's container of a pod runs."""
    spec = a_reranker(model={"name": name, "trustRemoteCode": True}, accelerator={"type": kind}).spec
    template = build_pod_template("bge", "abc", spec, SERVED.get(name, Entry(id=name)), IMAGE)
    words: list[str] = template["spec"]["containers"][0]["command"]
    return words


def parse(commands: list[list[str]], folder: Path) -> Iterator[dict[str, Any]]:
    """What vLLM's parser says to each; the file that only a pod has is one of the folder."""
    file = folder / "engine.yaml"
    file.write_text(json.dumps({"max-model-len": 512, "hf-overrides": json.dumps({"num_labels": 1})}))
    given = [[str(file) if word == ENGINE_FILE else word for word in command] for command in commands]
    done = subprocess.run(
        [str(environment.ensure().python), "-W", "ignore", "-m", "tests.engine.parse_arguments"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    yield from json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case, what vLLM's parser says."""
    answers = parse([command_line(*case) for case in CASES], tmp_path_factory.mktemp("home"))
    return dict(zip(NAMES, answers, strict=True))


@pytest.mark.parametrize(("name", "kind"), CASES, ids=NAMES)
def test_vllm_reads_the_arguments_of_a_model_as_the_catalog_means_them(
    parsed: dict[str, dict[str, Any]], name: str, kind: AcceleratorType
) -> None:
    answer = parsed[f"{name} on {kind}"]
    assert "parsed" in answer, answer
    read, entry = answer["parsed"], SERVED.get(name)
    assert ([name], "pooling") == (read["served_model_name"], read["runner"])
    if entry is None:
        assert (512, {"num_labels": 1}) == (read["max_model_len"], read["hf_overrides"])
        return
    assert entry.served_length == read["max_model_len"]
    assert entry.hf_overrides == (read["hf_overrides"] or {})
    assert (entry.template is not None) == (read["chat_template"] is not None)
    assert (entry.code_revision, True) == (read["code_revision"], read["trust_remote_code"])


def test_an_option_that_vllm_does_not_know_is_refused_by_its_parser(tmp_path: Path) -> None:
    (answer,) = parse([["vllm", "serve", "m", "--no-such-option"]], tmp_path)
    assert "--no-such-option" in answer["refused"]


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    spec = a_reranker(
        model={"name": "Qwen/Qwen3-Reranker-0.6B"},
        engine={"args": ["--hf-overrides", '{"num_labels": 1}', "--gpu-memory-utilization=0.5"]},
    ).spec
    words = build_pod_template("bge", "abc", spec, SERVED["Qwen/Qwen3-Reranker-0.6B"], IMAGE)
    (answer,) = parse([words["spec"]["containers"][0]["command"]], tmp_path)

    read = answer["parsed"]
    assert ({"num_labels": 1}, 0.5, None) == (
        read["hf_overrides"],
        read["gpu_memory_utilization"],
        read["kv_cache_memory_bytes"],
    )
