"""How far an engine is that loads its model, from the end of its log (vLLM 0.32, huggingface_hub and its tqdm bars)."""

import re
from typing import Final

from rerank_operator.api.v1alpha1 import LoadingStep

# `model.safetensors:  45%|####      | 1.02G/2.27G [00:10<00:12, 100MB/s]`
_DOWNLOAD: Final = re.compile(r"(\d+)%\|[^|]*\| *[\d.]+[kMGT]?/([\d.]+[kMGT])B? \[")
_FETCH: Final = re.compile(r"Fetching (\d+) files:\s+(\d+)%")
_SHARDS: Final = re.compile(r"Loading (?:safetensors|pt) checkpoint shards:\s+(\d+)% Completed \| \d+/(\d+)")
_LOADS: Final = re.compile(r"Starting to load model|Loading weights took|Loading model from|Model loading took")
_WARMS: Final = re.compile(
    r"Capturing CUDA graphs|torch\.compile|Compiling a graph|Available KV cache memory|KV cache size|init engine|"
    r"warming up|Application startup|Starting vLLM (API )?server",
    re.IGNORECASE,
)
_TENTHS: Final = 10


def read_progress(log: str) -> tuple[LoadingStep, str] | None:
    """What the newest telling line says the engine does, and how much of it is done; None when none tells.

    Percentages are rounded down to tens: each change of the text is a write of the status.
    """
    for line in reversed(re.split(r"[\r\n]+", log)):
        if told := _read_line(line):
            return told
    return None


def _read_line(line: str) -> tuple[LoadingStep, str] | None:
    if bar := _SHARDS.search(line):
        return LoadingStep.LOADING_MODEL, f"{_tens(bar[1])} % of {bar[2]} parts"
    if bar := _FETCH.search(line):
        return LoadingStep.DOWNLOADING_MODEL, f"{_tens(bar[2])} % of {bar[1]} files"
    if bar := _DOWNLOAD.search(line):
        return LoadingStep.DOWNLOADING_MODEL, f"{_tens(bar[1])} % of {bar[2]}B"
    if _WARMS.search(line):
        return LoadingStep.WARMING_UP, ""
    if _LOADS.search(line):
        return LoadingStep.LOADING_MODEL, ""
    return None


def _tens(percent: str) -> int:
    return int(percent) // _TENTHS * _TENTHS
