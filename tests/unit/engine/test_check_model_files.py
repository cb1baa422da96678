"""The init container that reads a model's files: files that are missing, broken, or of another format."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.engine import check_model, fetch_model
from tests.produces import produces
from tests.unit.engine.model_step import CONFIG, Model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def test_a_folder_that_is_missing_or_empty_holds_no_model(model: Model) -> None:
    model.remove("config.json")
    model.refuses(Reason.MODEL_NOT_FOUND, "holds no config.json")
    model.folder = model.root / "elsewhere"
    model.refuses(Reason.MODEL_NOT_FOUND, f"There is no folder {model.folder}")


@produces(Reason.MODEL_UNREADABLE, by="step")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"architectures": [', "Expecting value"),
        ("[]", "holds no object"),
        ("", "Expecting value"),
        ('{"architectures": "BertForSequenceClassification"}', "architectures is no list"),
        ('{"architectures": [1]}', "architectures is no list"),
    ],
)
def test_a_broken_configuration_is_named(model: Model, content: str, words: str) -> None:
    model.write("config.json", content)
    model.refuses(Reason.MODEL_UNREADABLE, "config.json", words)
    model.refuses(Reason.MODEL_UNREADABLE, "config.json", words, name="BAAI/bge-reranker-v2-m3")


def test_a_configuration_that_is_no_text_is_named(model: Model) -> None:
    (model.folder / "config.json").write_bytes(b"\xff\xfe\x00")
    model.refuses(Reason.MODEL_UNREADABLE, "config.json", "codec can't decode")


FOREIGN = {
    "bge-reranker-v2-m3-Q4_K_M.gguf": "GGUF",
    "onnx/model.onnx": "ONNX",
    "model.onnx": "ONNX",
    "openvino_model.xml": "OpenVINO",
    "model.engine": "TensorRT",
}


@pytest.mark.parametrize("config", [True, False], ids=["with config.json", "without"])
@pytest.mark.parametrize(("name", "kind"), FOREIGN.items(), ids=FOREIGN)
def test_a_format_that_vllm_does_not_read_is_named(model: Model, name: str, kind: str, config: bool) -> None:
    model.remove("model.safetensors", *(() if config else ("config.json",)))
    model.write(name, "weights")
    model.write("openvino_model.bin", "weights of OpenVINO, which are not those of PyTorch")
    model.refuses(Reason.MODEL_REFUSED, f"is a {kind} file")


def test_other_formats_beside_the_weights_do_not_matter(model: Model) -> None:
    for name in FOREIGN:
        model.write(name, "weights")
    assert 0 == model.check().status


def test_an_adapter_alone_is_no_model(model: Model) -> None:
    model.remove("config.json", "model.safetensors")
    model.write("adapter_config.json", {})
    model.write("adapter_model.safetensors", "weights")
    model.refuses(Reason.MODEL_REFUSED, "adapter")


@pytest.mark.parametrize("leftover", ["training_args.bin", "optimizer.pt", "rng_state.pth", "README.md"])
def test_what_a_training_leaves_is_no_weights(model: Model, leftover: str) -> None:
    model.remove("model.safetensors")
    model.write(leftover, "x")
    model.refuses(Reason.MODEL_UNREADABLE, "holds no weights")


def sharded(model: Model, *parts: str, index: str = "model.safetensors.index.json") -> None:
    model.remove("model.safetensors")
    for part in parts:
        model.write(part, "weights")
    named = {f"layer.{number}": f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    model.write(index, {"metadata": {}, "weight_map": named})


def test_a_missing_part_of_the_weights_is_named(model: Model) -> None:
    sharded(model, "model-00001-of-00002.safetensors")
    model.refuses(Reason.MODEL_UNREADABLE, "names model-00002-of-00002.safetensors, which is not in")


def test_weights_in_two_parts_are_whole(model: Model) -> None:
    sharded(model, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    assert 0 == model.check().status


def test_the_index_of_a_format_that_is_not_read_does_not_matter(model: Model) -> None:
    model.write("pytorch_model.bin.index.json", {"weight_map": {"a": "pytorch_model-00001-of-00002.bin"}})
    assert 0 == model.check().status


def test_pickles_have_an_index_too(model: Model) -> None:
    model.remove("model.safetensors")
    model.write("pytorch_model-00001-of-00002.bin", "weights")
    model.write("pytorch_model.bin.index.json", {"weight_map": {"a": "pytorch_model-00002-of-00002.bin"}})
    model.refuses(Reason.MODEL_UNREADABLE, "pytorch_model-00002-of-00002.bin")


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": []}', "{"])
def test_an_index_without_names_is_named(model: Model, content: str) -> None:
    model.write("model.safetensors.index.json", content)
    model.refuses(Reason.MODEL_UNREADABLE, "model.safetensors.index.json")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2271071852\n"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "sentencepiece.bpe.model"])
def test_a_pointer_of_git_lfs_is_no_file(model: Model, name: str) -> None:
    model.write(name, POINTER)
    model.refuses(Reason.MODEL_UNREADABLE, f"{name} is a pointer of Git LFS", "git lfs pull")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_in_place_of_a_file_cannot_be_read(model: Model, name: str) -> None:
    model.remove(name)
    (model.folder / name).mkdir()
    reads = name != "tokenizer_config.json"  # of this one only what is a file is asked for
    assert reads == (model.check().status == 1)
    if reads:
        model.refuses(Reason.MODEL_UNREADABLE, name, "Is a directory")


@pytest.mark.parametrize("name", [".", "config.json", "model.safetensors", "tokenizer_config.json"])
def test_what_only_its_owner_may_read_cannot_be_read(model: Model, name: str) -> None:
    locked = model.folder / name
    mode = locked.stat().st_mode
    locked.chmod(0)
    found = model.check(modes=True)
    locked.chmod(mode)

    assert Reason.MODEL_UNREADABLE is found.fault[0]
    assert "Permission denied" in found.fault[1]


def test_a_model_without_a_tokenizer_is_refused(model: Model) -> None:
    model.remove("tokenizer.json")
    model.refuses(Reason.MODEL_UNREADABLE, "holds no tokenizer")
    model.remove("tokenizer_config.json")
    model.refuses(Reason.MODEL_UNREADABLE, "holds no tokenizer")


@pytest.mark.parametrize("name", ["vocab.txt", "sentencepiece.bpe.model", "qwen.tiktoken", "tokenizer.model"])
def test_a_tokenizer_has_one_of_several_forms(model: Model, name: str) -> None:
    model.remove("tokenizer.json")
    model.write(name, "words")
    assert 0 == model.check().status


def test_a_tokenizer_may_be_code_of_the_model(model: Model) -> None:
    model.remove("tokenizer.json")
    model.write("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}})
    assert 0 == model.check().status


@pytest.mark.parametrize("letter", ["x", "ß", "\U0001f600", "\x01", '"', "\\", "\ud800"])
def test_long_words_are_cut_so_that_the_kubelet_keeps_them_whole(model: Model, letter: str) -> None:
    model.write("config.json", {**CONFIG, "architectures": [letter * 5000]})
    model.refuses(Reason.UNSUPPORTED_ARCHITECTURE, "config.json says " + letter * 5)


def test_a_machine_that_is_no_pod_is_told_the_reason_too(
    model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model.check()
    monkeypatch.setattr(check_model, "TERMINATION_LOG", str(model.root / "nowhere" / "log"))
    model.remove("config.json")

    assert 1 == check_model.main(str(model.root / "model.json"))
    assert "ModelNotFound" in capsys.readouterr().out


@pytest.mark.parametrize("script", [check_model, fetch_model])
def test_a_script_says_only_reasons_of_the_api(script: Any) -> None:
    tree = ast.parse(Path(script.__file__).read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "Refused"]
    named = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    said = {*named, *getattr(script, "REASONS_OF_ERRORS", {}).values()}

    assert said
    assert set() == said - {reason.value for reason in Reason}


@pytest.mark.parametrize("script", [check_model, fetch_model])
def test_a_script_imports_nothing_of_ours(script: Any) -> None:
    tree = ast.parse(Path(script.__file__).read_text())
    modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    modules += [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]

    assert [] == [
        name for name in modules if name.partition(".")[0] not in {*sys.stdlib_module_names, "huggingface_hub"}
    ]
