"""`spec.engine.args` and `spec.engine.env`: refused where vLLM would not start with them, or would not rerank.

Whatever else they hold is the user's, and wins over what the catalog says.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Final

from rerank_operator.api.v1alpha1 import Guard, RerankServiceSpec
from rerank_operator.api.v1alpha1.engine import RESERVED_ARGUMENTS
from rerank_operator.catalog.entry import Entry, Kind
from rerank_operator.engine import command, devices

# Runners and tasks of vLLM under which nothing reranks.
_OTHER_WORK: Final = re.compile("generate|draft|transcription|reward")
_EMBEDDING: Final = re.compile("embed(ding)?")
_JUDGES: Final = {Kind.CROSS_ENCODER, Kind.LLM_CROSS_ENCODER, Kind.LISTWISE}
# Without a value, or with any.
_ENDS_RERANKING: Final = {
    "--headless": "then nothing listens on the port of the pod",
    "--uds": "then nothing listens on the port of the pod",
    "--grpc": "then nothing listens for HTTP on the port of the pod",
    "--ssl-certfile": "then probes and Milvus would have to speak HTTPS, and the published endpoint is HTTP",
    "--ssl-keyfile": "then probes and Milvus would have to speak HTTPS, and the published endpoint is HTTP",
    "--skip-tokenizer-init": "then the engine cannot read text",
}
_SPREADS: Final = {"--pipeline-parallel-size": "-pp", "--data-parallel-size": "-dp"}
_YES: Final = {"1", "ON", "YES", "TRUE"}


def engine_refusals(spec: RerankServiceSpec, entry: Entry) -> Iterator[str]:
    """Why vLLM cannot serve with its further arguments and variables, each with field, value and remedy."""
    yield from _spelling(spec.engine.args)
    yield from _other_work(spec.engine.args, entry)
    yield from _numbers(spec, entry)
    yield from _devices(spec)
    yield from _environment(spec)


def _spelling(args: list[str]) -> Iterator[str]:
    if args and not args[0].startswith("-"):
        yield f"engine.args begins with {args[0]!r}, which is no option: vLLM knows the model already. Remove it"
    for arg in args:
        name, _, value = arg.partition(" ")
        if arg.startswith("-") and value and "=" not in name:
            yield (
                f"engine.args holds {arg!r} as one argument, which vLLM does not know: write two, {name!r} and "
                f"{value.strip()!r}"
            )
        flag = command.flag_of(arg)
        # Three letters beyond the hyphens and more: vLLM takes the beginning of a name for the name.
        meant = next((reserved for reserved in RESERVED_ARGUMENTS if reserved.startswith(flag)), None)
        if meant and len(flag) > len("--x") and flag != meant:
            yield f"engine.args holds {flag}, which vLLM may read as {meant}; {RESERVED_ARGUMENTS[meant]}"
    given = command.value_of(args, "--hf-overrides")
    if given and not _is_object(given):
        yield f'engine.args holds --hf-overrides {given}: write a JSON object such as {{"num_labels": 1}}'


def _other_work(args: list[str], entry: Entry) -> Iterator[str]:
    for flag in ("--runner", "--task", "--convert"):
        value = command.value_of(args, flag)
        if _OTHER_WORK.fullmatch(value):
            yield f"engine.args holds {flag} {value}, and rerankers need the runner pooling. Remove it"
        elif _EMBEDDING.fullmatch(value) and entry.is_known and entry.kind in _JUDGES:
            yield f"engine.args holds {flag} {value}, which leaves out the part of {entry.id} that judges. Remove it"
    for flag, what in _ENDS_RERANKING.items():
        if command.gives(args, flag):
            yield f"engine.args holds {flag}: {what}. Remove it"


def _numbers(spec: RerankServiceSpec, entry: Entry) -> Iterator[str]:
    args, limit = spec.engine.args, command.max_length(spec, entry)
    batched = _whole(command.value_of(args, "--max-num-batched-tokens"))
    is_encoder = entry.size is not None and not entry.size.kv_kib_per_token
    if is_encoder and limit and batched is not None and batched < limit:
        yield (
            f"engine.args holds --max-num-batched-tokens {batched}, which is less than the {limit} tokens of a pair: "
            f"an encoder reads a pair at once. Set at least {limit}, or lower model.maxLength"
        )
    at_once = _whole(command.value_of(args, "--max-num-seqs"))
    if batched is not None and at_once is not None and batched < at_once:
        yield (
            f"engine.args holds --max-num-seqs {at_once}, which is more than --max-num-batched-tokens {batched}: "
            "each sequence of a batch takes a token at least. Lower the one or raise the other"
        )
    share = command.value_of(args, "--gpu-memory-utilization")
    if share and not _is_share(share):
        yield f"engine.args holds --gpu-memory-utilization {share}, which is a part: a number above 0 and up to 1"


def _devices(spec: RerankServiceSpec) -> Iterator[str]:
    """Processes on devices that the pod does not have; what claims bring nobody can count."""
    count = devices.gpu_count(spec)
    if not count or spec.accelerator.claims:
        return
    for flag, short in _SPREADS.items():
        given = command.value_of(spec.engine.args, flag) or _short_value(spec.engine.args, short)
        if (_whole(given) or 1) > 1:
            yield (
                f"engine.args holds {flag} {given}, and the pod's accelerators ({count}) are all taken by one copy of "
                "the whole model. Remove it: accelerator.count spreads the model, and replicas are more copies"
            )


def _environment(spec: RerankServiceSpec) -> Iterator[str]:
    given = {variable.name: variable.value or "" for variable in spec.engine.env}
    if "VLLM_API_KEY" in given:
        yield (
            "engine.env sets VLLM_API_KEY, which leaves /rerank open and breaks Milvus 2.6.0. Remove it: "
            "access.bearerSecretRef names a Secret with the keys of callers"
        )
    path = given.get("PYTHONPATH")
    if path and spec.engine.guard is Guard.ENABLED and command.FILES_MOUNT not in path.split(":"):
        yield (
            f"engine.env sets PYTHONPATH to {path!r}, and vLLM would not find the guard. "
            f"Append :{command.FILES_MOUNT} to it"
        )
    offline = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if given.get(name, "").upper() in _YES]
    if offline and command.is_fetched(spec) and command.cache(spec) is None:
        yield (
            f"engine.env sets {offline[0]}, and the model is to be downloaded. Remove it (the engine itself is offline "
            "without it), or name in model.source where the model is"
        )


def _short_value(args: list[str], flag: str) -> str:
    """Value of a short option; empty where there is none."""
    given = [arg.partition("=")[2] for arg in args if arg.startswith(f"{flag}=")]
    apart = [following for arg, following in itertools.pairwise(args) if arg == flag]
    return (given + apart + [""])[0]


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
