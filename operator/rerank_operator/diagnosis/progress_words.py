"""How far a pod is that fetches or loads its model, from the end of a log (`engine/fetch_model.py`, vLLM 0.32)."""

import re
from typing import Final

from rerank_operator.api.v1alpha1 import LoadingStep

# `fetch_model.py`: `downloaded 45 % of 2.27 GB`
_FETCHED: Final = re.compile(r"downloaded (\d+) % of ([\d.]+ GB)")
_SHARDS: Final = re.compile(r"Loading (?:safetensors|pt) checkpoint shards:\s+(\d+)% Completed \| \d+/(\d+)")
_LOADS: Final = re.compile(r"Starting to load model|Loading weights took|Loading model from|Model loading took")
_WARMS: Final = re.compile(
    r"Capturing CUDA graphs|torch\.compile|Compiling a graph|Available KV cache memory|KV cache size|init engine|"
    r"warming up|Application startup|Starting vLLM (API )?server",
    re.IGNORECASE,
)
_TENTHS: Final = 10


def read_progress(log: str) -> tuple[LoadingStep, str] | None:
    """What the newest telling line says the pod does, and how much of it is done; None when none tells.

    Percentages are rounded down to tens: each change of the text is a write of the status.
    """
    for line in reversed(re.split(r"[\r\n]+", log)):
        if told := _read_line(line):
            return told
    return None


def _read_line(line: str) -> tuple[LoadingStep, str] | None:
    if told := _FETCHED.search(line):
        return LoadingStep.DOWNLOADING_MODEL, f"{_tens(told[1])} % of {told[2]}"
    if bar := _SHARDS.search(line):
        return LoadingStep.LOADING_MODEL, f"{_tens(bar[1])} % of {bar[2]} parts"
    if _WARMS.search(line):
        return LoadingStep.WARMING_UP, ""
    if _LOADS.search(line):
        return LoadingStep.LOADING_MODEL, ""
    return None


def _tens(percent: str) -> int:
    return int(percent) // _TENTHS * _TENTHS
