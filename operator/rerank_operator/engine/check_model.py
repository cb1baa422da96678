"""Read what a model's files say, and refuse what cannot rerank, before the engine starts: an init container.

`python3 -I -S check_model.py REQUEST` reads the JSON request that the operator wrote (`engine/preparation.py`):

    name, folder       the model's id, and where its files are
    entry              the catalog's model that it is served as
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
# The kubelet keeps 4096 bytes. As JSON: a letter may take twelve.
MOST_DETAIL = 1500
# What a model without an entry is served with at most, unless the spec says more: longer pairs cost memory.
MOST_TOKENS = 8192
# The engine only checks that this part of the GPU is free; an encoder takes what its weights need.
GPU_SHARE = 0.1
# Pairs of full length whose keys and values fit into the cache at once.
PAIRS_AT_ONCE = 4
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
# They look like weights, and are what a training leaves, or another runtime's.
NO_WEIGHTS = ("training_args.", "optimizer.", "scheduler.", "scaler.", "rng_state", "openvino_", "adapter_model.")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken", "tekken.json")
FOREIGN = {".gguf": "GGUF", ".onnx": "ONNX", ".engine": "TensorRT", ".mlmodel": "Core ML", ".xml": "OpenVINO"}


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
        said, arguments = check(request, Path(request["folder"]))
    except (Refused, OSError) as error:
        refused = error if isinstance(error, Refused) else Refused("ModelUnreadable", one_line(error))
        say({"reason": refused.reason, "detail": cut(refused.detail)})
        return 1
    if arguments is not None:
        Path(ENGINE_FILE).write_text(json.dumps(arguments), encoding="utf-8")
    say(said)
    return 0


def say(message: dict[str, Any]) -> None:
    """Tell the kubelet and the log; a machine without that file is not a pod."""
    text = json.dumps(message)
    print(text, flush=True)
    try:
        Path(TERMINATION_LOG).write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{TERMINATION_LOG}: {error}", flush=True)


def cut(text: str) -> str:
    """The text, as far as its JSON has room."""
    text = text[:MOST_DETAIL]
    while len(json.dumps(text)) > MOST_DETAIL:
        text = text[:-10]
    return text


def check(request: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read the files; return what to say, and arguments of the engine that nobody knew. Raises Refused and OSError."""
    original = read_config(folder)
    require_files(folder)
    require_whole_head(folder)
    if request["families"] is None:
        require_architecture(original, request)
        return {"family": "", "warning": ""}, None
    config = {**original, **request["overrides"]}
    named = " and ".join(architectures_of(config)) or "no architecture"
    family = family_of(config, request["families"])
    if family is None:
        raise Refused("UnsupportedArchitecture", f"config.json says {named}, of which nothing is known")
    if family["refusal"]:
        raise Refused(family["refusal"]["reason"], f"config.json says {named}. {family['refusal']['message']}")
    if family["trustRemoteCode"] and not request["trustRemoteCode"]:
        raise Refused("TrustRemoteCodeRequired", f"config.json says {named}")
    require_one_label(config)
    said = {"family": family["name"], "warning": family["warning"]}
    return said, arguments_of(config, family, request, folder)


def one_line(error: BaseException) -> str:
    """The words of an error without its line breaks."""
    return " ".join(str(error).split())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder. Raises Refused."""
    if not folder.is_dir():
        raise Refused("ModelNotFound", f"There is no folder {folder}")
    if (folder / "config.json").exists():
        return read_object(folder / "config.json")
    require_known_format(folder)
    if (folder / "adapter_config.json").exists():
        raise Refused("ModelRefused", f"{folder} holds an adapter (LoRA) and not its model: merge both into one")
    raise Refused("ModelNotFound", f"{folder} holds no config.json")


def read_json(path: Path) -> Any:
    """A JSON file. Raises Refused."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        detail = one_line(error)
        raise Refused("ModelUnreadable", detail if str(path) in detail else f"{path}: {detail}") from error


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises Refused."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise Refused("ModelUnreadable", f"{path} holds no object")
    return found


def weights_in(folder: Path) -> list[Path]:
    """The files that vLLM reads weights from."""
    paths = (path for path in sorted(folder.iterdir()) if not path.name.startswith(NO_WEIGHTS))
    return [path for path in paths if path.name.endswith(WEIGHTS)]


def require_known_format(folder: Path) -> None:
    """Name the format of files that vLLM does not read. Raises Refused."""
    if weights_in(folder):
        return
    for path in (*sorted(folder.iterdir()), *sorted(folder.glob("*/*"))):
        if kind := FOREIGN.get(path.suffix):
            detail = (
                f"{path.name} is a {kind} file; vLLM serves rerankers from safetensors: use the original repository"
            )
            raise Refused("ModelRefused", detail)


def require_files(folder: Path) -> None:
    """Weights that are all there, and a tokenizer: without it every document reads the same. Raises Refused."""
    require_known_format(folder)
    weights = weights_in(folder)
    if not weights:
        raise Refused("ModelUnreadable", f"{folder} holds no weights (*.safetensors or *.bin)")
    # Where there are several formats, vLLM reads this one.
    kind = ".safetensors" if any(path.suffix == ".safetensors" for path in weights) else ".bin"
    for index in folder.glob(f"*{kind}.index.json"):
        parts = read_object(index).get("weight_map")
        if not isinstance(parts, dict):
            raise Refused("ModelUnreadable", f"{index} names no weights")
        if missing := sorted(part for part in set(map(str, parts.values())) if not (folder / part).is_file()):
            raise Refused("ModelUnreadable", f"{index.name} names {missing[0]}, which is not in {folder}")
    tokenizers = [path for pattern in TOKENIZERS for path in folder.glob(pattern)]
    for path in (*weights, *tokenizers):
        with path.open("rb") as file:
            if file.read(20).startswith(b"version https://git"):
                detail = f"{path.name} is a pointer of Git LFS, not the file: run git lfs pull"
                raise Refused("ModelUnreadable", detail)
    settings = folder / "tokenizer_config.json"
    if not tokenizers and not (settings.is_file() and read_object(settings).get("auto_map")):
        raise Refused("ModelUnreadable", f"{folder} holds no tokenizer (tokenizer.json and such)")


def require_architecture(config: dict[str, Any], request: dict[str, Any]) -> None:
    """Refuse files of another model than the catalog's entry is about. Raises Refused."""
    wanted, said = request["architectures"], architectures_of(config)
    if wanted and not set(said) & set(wanted):
        named = " and ".join(said) or "no architecture"
        raise Refused("ModelMismatch", f"config.json says {named}, and {request['entry']} is a {' or '.join(wanted)}")


def require_whole_head(folder: Path) -> None:
    """Refuse a CrossEncoder whose head lies in modules that vLLM leaves out. Raises Refused."""
    settings, modules = folder / "config_sentence_transformers.json", folder / "modules.json"
    if not (settings.is_file() and modules.is_file()) or read_object(settings).get("model_type") != "CrossEncoder":
        return
    listed = read_json(modules)
    named = [module for module in listed if isinstance(module, dict)] if isinstance(listed, list) else []
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in named]
    if extra := [kind for kind in kinds if kind not in ("Transformer", "LogitScore")]:
        detail = (
            f"modules.json says that the score comes from {' and '.join(extra)}, which vLLM does not load: it would "
            "answer with the cosines of an unfinished model. Use Alibaba-NLP/gte-reranker-modernbert-base instead"
        )
        raise Refused("ModelRefused", detail)


def require_one_label(config: dict[str, Any]) -> None:
    """Refuse a classifier of several classes: it gives no score to sort by. Raises Refused."""
    if not any(name.endswith("ForSequenceClassification") for name in architectures_of(config)):
        return
    if (labels := labels_of(config)) != 1:
        raise Refused("NotAReranker", f"config.json says a classifier of {labels} labels; a reranker has one")


def labels_of(config: dict[str, Any]) -> int:
    """How many classes vLLM finds in a configuration."""
    if tokens := config.get("classifier_from_token"):
        # A language model that judges with words: one against another, or each for itself.
        pair = config.get("is_original_qwen3_reranker") or config.get("method") == "from_2_way_softmax"
        return 1 if pair or not isinstance(tokens, list) else len(tokens)
    named = config.get("id2label")
    # Two is what the Transformers library takes where a file says nothing.
    return positive(config.get("num_labels")) or (len(named) if isinstance(named, (dict, list)) else 0) or 2


def architectures_of(config: dict[str, Any]) -> list[str]:
    """The architectures that a configuration names. Raises Refused."""
    named = config.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise Refused("ModelUnreadable", "config.json: architectures is no list of names")
    return named


def family_of(config: dict[str, Any], families: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first family that one of the model's architectures belongs to."""
    names = architectures_of(config)
    for family in families:
        if any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in family["architectures"]):
            return family
    return None


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
    positions = setting(config, "max_position_embeddings")
    if not positions:
        return None
    limits: list[float] = [MOST_TOKENS, positions - family["extraPositions"]]
    tokenizer = folder / "tokenizer_config.json"
    said = read_object(tokenizer).get("model_max_length") if tokenizer.is_file() else None
    if isinstance(said, (int, float)) and said > 0:
        limits.append(said)  # a huge number stands for none
    return int(min(limits))


def setting(config: dict[str, Any], name: str) -> int | None:
    """A positive number of config.json; models that also see keep those of their language model one level below."""
    inner = config.get("text_config")
    return positive(config.get(name)) or (positive(inner.get(name)) if isinstance(inner, dict) else None)


def positive(value: Any) -> int | None:
    """The value where it is a positive integer."""
    return value if isinstance(value, int) and value > 0 else None


def cache_bytes_per_token(config: dict[str, Any]) -> int | None:
    """Bytes of keys and values per token at 16 bit; None where the configuration does not say."""
    layers, heads, hidden = (setting(config, f) for f in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    width = setting(config, "head_dim") or (hidden // heads if hidden and heads else None)
    kept = setting(config, "num_key_value_heads") or heads
    return 2 * 2 * layers * kept * width if layers and kept and width else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
