"""The init container that fetches a model: what it chooses, and how it words what went wrong. No hub is asked."""

from __future__ import annotations

import errno
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import LoadingStep
from rerank_operator.diagnosis.progress_words import read_progress
from rerank_operator.diagnosis.step_words import read_step
from rerank_operator.engine import command, fetch_model, preparation
from tests.builders import a_reranker

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = {"name": "org/model", "revision": "main", "folder": "/models/org/model/main"}
SMALL = ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json", "own_code.py", "README.md"]
CHOICES: dict[str, tuple[list[str], list[str]]] = {
    # Weights that a hub holds, and those that are fetched.
    "safetensors and pickles": (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
    "pickles only": (["pytorch_model.bin"], ["pytorch_model.bin"]),
    "an index of pickles that are left out": (
        ["model.safetensors", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"],
        ["model.safetensors"],
    ),
    "shards": (
        ["model.safetensors.index.json", "model-00001-of-00001.safetensors"],
        ["model.safetensors.index.json", "model-00001-of-00001.safetensors"],
    ),
    "safetensors of a module beside pickles": (
        ["pytorch_model.bin", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"],
        ["pytorch_model.bin", "2_Dense/model.safetensors"],
    ),
    "other formats": (
        ["onnx/model.onnx", "onnx/model.onnx_data", "model.gguf", "tf_model.h5", "flax_model.msgpack"],
        [],
    ),
    "OpenVINO": (["openvino/openvino_model.bin", "openvino_model.bin", "openvino_model.xml"], []),
    "what a training leaves": (
        ["training_args.bin", "optimizer.pt", "rng_state_0.pth", "checkpoint-9/model.safetensors"],
        [],
    ),
}


@pytest.mark.parametrize(("weights", "fetched"), CHOICES.values(), ids=CHOICES)
def test_only_what_vllm_reads_is_fetched(weights: list[str], fetched: list[str]) -> None:
    assert [*SMALL, *fetched] == fetch_model.files_to_fetch([*SMALL, *weights])


class SomethingOfTheLibrary(Exception):  # noqa: N818 - named as a class of the hub's library would be
    """An error of a class that nobody knows."""


def refused(error: BaseException) -> fetch_model.Refused:
    return fetch_model.of_the_hub(error, REQUEST)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Reason.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Reason.DISK_FULL),
        # hf_xet, which is written in Rust
        (RuntimeError("Data processing error: No space left on device (os error 28)"), Reason.DISK_FULL),
        (PermissionError(errno.EACCES, "Permission denied"), Reason.VOLUME_MOUNT_FAILED),
        (OSError(errno.EROFS, "Read-only file system"), Reason.VOLUME_MOUNT_FAILED),
        (ModuleNotFoundError("No module named 'huggingface_hub'"), Reason.MODEL_DOWNLOAD_FAILED),
        (SomethingOfTheLibrary("?"), Reason.MODEL_DOWNLOAD_FAILED),
    ],
)
def test_an_error_has_a_reason_and_its_words(error: BaseException, reason: Reason) -> None:
    told = refused(error)

    assert reason.value == told.reason
    assert f"{type(error).__name__}: {error}" in told.detail


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("403 (Request ID: Root=1-6650;8e1f-2b)\n\nno.", "403 no."),
        ("403 (Amzn Trace ID: 8e1f)", "403"),
        ("<Connection object at 0x7f21ac>: refused", "<Connection object at 0x…>: refused"),
        ("for url 'https://cdn.example.com/a?X-Amz-Signature=77&b=1'", "for url 'https://cdn.example.com/a'"),
        ("at https://me:pass@hub.example.com/api.", "at https://hub.example.com/api."),
        ("url https://h/org/m/resolve/01ab/config.json. Access", "url https://h/org/m/resolve/…. Access"),
        ("Illegal header value b'Bearer hf_secret'", "Illegal header value b'Bearer …'"),
        ("a\n  b\r\nc", "a b c"),
    ],
)
def test_words_hold_no_secret_and_nothing_that_differs_from_try_to_try(
    words: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    assert told == fetch_model.one_line(ValueError(words))


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", " ")
    assert "a b" == fetch_model.one_line(ValueError("a b"))


@pytest.mark.parametrize("letter", ["x", "ß", "\U0001f600", "\x01"])
def test_long_words_are_cut_so_that_the_kubelet_keeps_them_whole(
    letter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: dict[str, Any]) -> None:
        raise fetch_model.Refused("DiskFull", letter * 5000)

    (tmp_path / "model.json").write_text(json.dumps(REQUEST))
    monkeypatch.setattr(fetch_model, "TERMINATION_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(fetch_model, "fetch", fails)

    assert 1 == fetch_model.main(str(tmp_path / "model.json"))
    said = (tmp_path / "log").read_text()
    assert len(said) < 4096
    assert (Reason.DISK_FULL, letter * 50) == (read_step(said, "")[0], read_step(said, "")[1][:50])


COMPLETE = {"name": "org/model", "revision": "main", "commit": "0" * 40, "files": {"config.json": 2, "a/b": None}}


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "[]",
        "null",
        "{}",
        json.dumps({**COMPLETE, "files": []}),
        json.dumps({**COMPLETE, "files": {"config.json": 3}}),
        json.dumps({**COMPLETE, "files": {"gone.json": None}}),
        json.dumps({**COMPLETE, "revision": "v2"}),
        json.dumps({**COMPLETE, "name": "org/another"}),
        json.dumps({"name": "org/model", "revision": "main"}),
    ],
)
def test_only_a_whole_model_of_the_same_name_and_revision_is_complete(marker: str, tmp_path: Path) -> None:
    assert not fetch_model.is_complete(tmp_path, REQUEST)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / fetch_model.COMPLETE).write_text(json.dumps(COMPLETE))
    assert fetch_model.is_complete(tmp_path, REQUEST)
    (tmp_path / fetch_model.COMPLETE).write_text(marker)
    assert not fetch_model.is_complete(tmp_path, REQUEST)


def test_what_arrived_is_printed_as_the_operator_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "weights.incomplete").write_bytes(b"x" * 500)
    ended = threading.Event()
    ended.set()
    for total in (1000, 400, 0):
        fetch_model.report_progress(tmp_path, total, ended)
        printed = capsys.readouterr().out
        percent = 50 if total == 1000 else 100
        assert f"downloaded {percent} % of 0.00 GB\n" == printed
        assert (LoadingStep.DOWNLOADING_MODEL, f"{percent} % of 0.00 GB") == read_progress(printed)


def test_a_folder_that_goes_while_it_is_measured_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert 0 == fetch_model.size_of(tmp_path / "nowhere")
    assert fetch_model.size_of(tmp_path) > 0


@pytest.mark.parametrize(("revision", "asked"), [(None, "main"), ("v2", "v2")])
def test_the_request_says_what_to_fetch_and_where_to(revision: str | None, asked: str) -> None:
    spec = a_reranker(model={"name": "our/model", "revision": revision}).spec
    request = json.loads(preparation.build_request(spec, command.entry_of(spec)))

    assert ("our/model", asked, f"/models/our/model/{asked}") == tuple(
        request[f] for f in ("name", "revision", "folder")
    )
