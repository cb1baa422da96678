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


def told(*args: str, name: str = "Qwen/Qwen3-Reranker-0.6B") -> list[str]:
    """What the container runs with further arguments of the user."""
    spec = a_reranker(model={"name": name}, engine={"args": list(args)}).spec
    template = build_pod_template("bge", "abc", spec, SERVED.get(name, Entry(id=name)), IMAGE)
    words: list[str] = template["spec"]["containers"][0]["command"]
    return words


# What the user adds, and what vLLM makes of the whole command line.
OURS = SERVED["Qwen/Qwen3-Reranker-0.6B"].hf_overrides
WINS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "JSON": (told("--hf-overrides", '{"num_labels": 1}'), {"hf_overrides": {"num_labels": 1}}),
    "JSON behind =": (told('--hf_overrides={"num_labels": 1}'), {"hf_overrides": {"num_labels": 1}}),
    "keys behind dots": (
        told("--hf-overrides.a", "1", "--hf-overrides.b.c=x"),
        {"hf_overrides": {"a": 1, "b": {"c": "x"}}},
    ),
    "a template": (told("--chat-template", "/mine"), {"chat_template": "/mine", "hf_overrides": OURS}),
    "a share": (told("--gpu-memory-utilization=0.5"), {"gpu_memory_utilization": 0.5, "kv_cache_memory_bytes": None}),
    "a cache": (
        told("--kv-cache-memory-bytes", "1G"),
        {"gpu_memory_utilization": 0.92, "kv_cache_memory_bytes": 2**30},
    ),
    "JSON over what files say": (
        told("--hf-overrides", '{"num_labels": 2}', name=UNKNOWN),
        {"hf_overrides": {"num_labels": 2}, "max_model_len": 512},
    ),
    # These are refused before a pod is made: with them vLLM would do another thing, and start.
    "the beginning of an option": (told("--max-model", "16"), {"max_model_len": 16}),
    "the beginning of a name": (told("--served-model", "x"), {"served_model_name": ["x"]}),
    "a share that is none": (told("--gpu-memory-utilization", "1.5"), {"gpu_memory_utilization": 1.5}),
    "no JSON at all": (told("--hf-overrides", "x"), {"hf_overrides": "x"}),
}
REFUSED = {
    "an unknown option": (told("--no-such-option"), "--no-such-option"),
    "two words in one": (told("--max-num-seqs 8"), "unrecognized arguments: --max-num-seqs 8"),
    "a word without an option": (told("8"), "unrecognized arguments: 8"),
    "no JSON": (told("--hf-overrides", "{x}"), "argument --hf-overrides"),
}
COMMANDS = {
    **{name: command_line(*case) for name, case in zip(NAMES, CASES, strict=True)},
    **{name: words for name, (words, _) in (*WINS.items(), *REFUSED.items())},
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By the name of a command line, what vLLM's parser says."""
    answers = parse(list(COMMANDS.values()), tmp_path_factory.mktemp("home"))
    return dict(zip(COMMANDS, answers, strict=True))


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


@pytest.mark.parametrize("name", WINS)
def test_what_the_user_says_wins(parsed: dict[str, dict[str, Any]], name: str) -> None:
    read, (_, wanted) = parsed[name]["parsed"], WINS[name]
    assert wanted == {option: read[option] for option in wanted}


@pytest.mark.parametrize("name", REFUSED)
def test_what_vllm_does_not_know_ends_it(parsed: dict[str, dict[str, Any]], name: str) -> None:
    assert REFUSED[name][1] in parsed[name]["refused"]
