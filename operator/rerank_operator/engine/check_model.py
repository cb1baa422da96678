"""Read what a model's files say, and refuse what cannot rerank, before the engine starts: an init container.

`python3 -I -S check_model.py REQUEST` reads the JSON request that the operator wrote (`engine/preparation.py`):

    name, folder       the model's id, and where its files are
    architectures      what config.json of a model with a catalog entry must say (one of them); [] for any
    overrides          what the engine's arguments replace in config.json
    families           how models without an entry are served (catalog/families.yaml); null for one with an entry
    maxLength          tokens per pair that the spec says; null for the model's own
    trustRemoteCode    whether the model's own code may run
    gpu                whether the engine is to be told how much memory of a GPU to take

For a model without an entry the engine's arguments go to ENGINE_FILE, which `vllm serve --config` reads; arguments on
the command line win. The last word goes to /dev/termination-log as JSON, where the operator reads it: {"reason",
"detail"} of a refusal, with a reason of the operator's API, else {"family", "warning"}. Standard library only.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from pathlib import Path
from typing import Any

TERMINATION_LOG = "/dev/termination-log"
ENGINE_FILE = "/run/rerank-operator/engine.yaml"
MOST_DETAIL = 800
# What a model without an entry is served with at most, unless the spec says more: longer pairs cost memory.
MOST_TOKENS = 8192
# The engine only checks that this part of the GPU is free; an encoder takes what its weights need.
GPU_SHARE = 0.1
# Pairs of full length whose keys and values fit into the cache at once.
PAIRS_AT_ONCE = 8
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "*.model")
FOREIGN = {".gguf": "GGUF", ".onnx": "ONNX", ".engine": "TensorRT", ".mlmodel": "Core ML"}


class Refused(Exception):  # noqa: N818 - an answer, not a mistake
    """The model cannot be served: `reason` is a reason of the operator's API, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def main(request_file: str) -> int:
    """Return 0 for a model that can be served; say why it cannot, and return 1."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    try:
        said = check(request, Path(request["folder"]))
    except Refused as refused:
        say({"reason": refused.reason, "detail": refused.detail[:MOST_DETAIL]})
        print(refused, flush=True)
        return 1
    say(said)
    print(json.dumps(said), flush=True)
    return 0


def say(message: dict[str, Any]) -> None:
    """Tell the kubelet, which keeps 4096 bytes; a machine without that file is not a pod."""
    try:
        Path(TERMINATION_LOG).write_text(json.dumps(message), encoding="utf-8")
    except OSError as error:
        print(f"{TERMINATION_LOG}: {error}", flush=True)


def check(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read the files, write the engine's arguments where they are not known yet; return what to say.

    Raises Refused.
    """
    config = {**read_config(folder), **request["overrides"]}
    require_files(folder)
    require_whole_head(folder)
    if request["families"] is None:
        original = read_config(folder).get("architectures") or []
        if request["architectures"] and not set(original) & set(request["architectures"]):
            wanted = " or ".join(request["architectures"])
            raise Refused("ModelMismatch", f"{request['name']} is a {wanted}, and config.json says {original}")
        return {"family": "", "warning": ""}
    family = family_of(config, request["families"])
    if family["refusal"]:
        detail = f"config.json says {config.get('architectures')}. {family['refusal']['message']}"
        raise Refused(family["refusal"]["reason"], detail)
    if family["trustRemoteCode"] and not request["trustRemoteCode"]:
        raise Refused("TrustRemoteCodeRequired", f"config.json says {config.get('architectures')}")
    require_one_label(config)
    arguments = arguments_of(config, family, request, folder)
    Path(ENGINE_FILE).write_text(json.dumps(arguments), encoding="utf-8")
    return {"family": family["name"], "warning": family["warning"]}


def one_line(error: BaseException) -> str:
    """The words of an error without its line breaks."""
    return " ".join(str(error).split())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder. Raises Refused."""
    if not folder.is_dir():
        raise Refused("ModelNotFound", f"There is no folder {folder}")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        require_known_format(folder)
        raise Refused("ModelNotFound", f"{folder} holds no config.json") from None
    except (OSError, ValueError) as error:
        raise Refused("ModelUnreadable", f"{folder}/config.json: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise Refused("ModelUnreadable", f"{folder}/config.json holds no object")
    return config


def require_known_format(folder: Path) -> None:
    """Name the format of files that vLLM does not read."""
    names = sorted(path.name for path in folder.iterdir())
    if any(name.endswith(WEIGHTS) for name in names):
        return
    for name in names:
        if kind := FOREIGN.get(Path(name).suffix):
            detail = f"{name} is a {kind} file; vLLM serves rerankers from safetensors: use the original repository"
            raise Refused("ModelRefused", detail)


def require_files(folder: Path) -> None:
    """Weights that are all there, and a tokenizer: without it every document reads the same. Raises Refused."""
    require_known_format(folder)
    weights = [path for path in folder.iterdir() if path.name.endswith(WEIGHTS)]
    if not weights:
        raise Refused("ModelUnreadable", f"{folder} holds no weights (*.safetensors or *.bin)")
    for index in folder.glob("*.index.json"):
        parts = set(read_object(index).get("weight_map", {}).values())
        if missing := sorted(part for part in parts if not (folder / part).is_file()):
            raise Refused("ModelUnreadable", f"{index.name} names {missing[0]}, which is not in {folder}")
    for path in weights:
        try:
            with path.open("rb") as file:
                start = file.read(20)
        except OSError as error:
            raise Refused("ModelUnreadable", f"{path}: {one_line(error)}") from error
        if start.startswith(b"version https://git"):
            raise Refused("ModelUnreadable", f"{path.name} is a pointer of Git LFS, not the file: run git lfs pull")
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        raise Refused("ModelUnreadable", f"{folder} holds no tokenizer (tokenizer.json and such)")


def read_object(path: Path) -> Any:
    """A JSON file beside config.json. Raises Refused."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused("ModelUnreadable", f"{path}: {one_line(error)}") from error


def require_whole_head(folder: Path) -> None:
    """Refuse a CrossEncoder whose head lies in modules that vLLM leaves out. Raises Refused."""
    settings, modules = folder / "config_sentence_transformers.json", folder / "modules.json"
    if not (settings.is_file() and modules.is_file()) or read_object(settings).get("model_type") != "CrossEncoder":
        return
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in read_object(modules)]
    if extra := [kind for kind in kinds if kind not in ("Transformer", "LogitScore")]:
        detail = (
            f"modules.json says that the score comes from {' and '.join(extra)}, which vLLM does not load: it would "
            "answer with the cosines of an unfinished model. Use Alibaba-NLP/gte-reranker-modernbert-base instead"
        )
        raise Refused("ModelRefused", detail)


def require_one_label(config: dict[str, Any]) -> None:
    """Refuse a classifier of several classes: it gives no score to sort by. Raises Refused."""
    if not any(name.endswith("ForSequenceClassification") for name in config.get("architectures") or ()):
        return
    # Two is what the Transformers library takes where a file says nothing.
    labels = config.get("num_labels") or len(config.get("id2label") or ()) or 2
    if labels != 1:
        raise Refused("NotAReranker", f"config.json says a classifier of {labels} labels; a reranker has one")


def family_of(config: dict[str, Any], families: list[dict[str, Any]]) -> dict[str, Any]:
    """The first family that one of the model's architectures belongs to. Raises Refused."""
    architectures = config.get("architectures") or []
    for family in families:
        if any(fnmatch.fnmatchcase(name, pattern) for name in architectures for pattern in family["architectures"]):
            return family
    raise Refused("UnsupportedArchitecture", f"config.json says {architectures}, of which nothing is known")


def arguments_of(
    config: dict[str, Any], family: dict[str, Any], request: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Arguments of the engine, as its --config file takes them."""
    found: dict[str, Any] = {}
    length = request["maxLength"] or own_length(config, family, folder)
    if not request["maxLength"] and length:
        found["max-model-len"] = length
    if family["hfOverrides"] and not request["overrides"]:
        found["hf-overrides"] = json.dumps(family["hfOverrides"])
    if not request["gpu"]:
        return found
    if family["encoder"]:
        found["gpu-memory-utilization"] = GPU_SHARE
    elif length and (per_token := cache_bytes_per_token(config)):
        found["gpu-memory-utilization"] = GPU_SHARE
        found["kv-cache-memory-bytes"] = per_token * length * PAIRS_AT_ONCE
    return found


def own_length(config: dict[str, Any], family: dict[str, Any], folder: Path) -> int | None:
    """Tokens per pair that the model was trained for, at most MOST_TOKENS; None where its files do not say."""
    limits: list[float] = [MOST_TOKENS]
    positions = config.get("max_position_embeddings")
    if not positions:
        return None
    limits.append(positions - family["extraPositions"])
    tokenizer = folder / "tokenizer_config.json"
    said = read_object(tokenizer).get("model_max_length") if tokenizer.is_file() else None
    if isinstance(said, (int, float)) and said > 0:
        limits.append(said)  # a huge number stands for none
    return int(min(limits))


def cache_bytes_per_token(config: dict[str, Any]) -> int | None:
    """Bytes of keys and values per token at 16 bit; None where the configuration does not say."""
    try:
        heads = config.get("num_key_value_heads") or config["num_attention_heads"]
        width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        return int(2 * 2 * config["num_hidden_layers"] * heads * width)
    except (KeyError, TypeError, ZeroDivisionError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
