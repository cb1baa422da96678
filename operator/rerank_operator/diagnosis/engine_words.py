"""What vLLM said before it ended, read in real outputs.

They are of 0.32 on a CPU, and of 0.26 for a GPU that is full; what else only a GPU makes it say is from its source.

A fault in the engine's own process is not in the last 2048 bytes, which are all that the kubelet keeps: vLLM's last
words are then that its engine failed. The whole log tells.
"""

import re
from typing import Final

from rerank_operator.api.reasons import Reason

MOST_CHARACTERS: Final = 400
# All that a termination message can hold: a longer text is a log.
MESSAGE_CHARACTERS: Final = 2048

# Tried in this order: the more special words first, since a fault is often wrapped in the words of another.
_WORDS: Final = (
    # Our own guard, and a vLLM that is too old for it.
    (r"No module named 'rerank_guard'|module 'rerank_guard' has no", Reason.GUARD_FAILED),
    (r"rerank_guard: RERANK_GUARD_\w+=|unrecognized arguments: .*--middleware", Reason.GUARD_FAILED),
    # The disk and the port: operating system errors that libraries pass on.
    (r"\[Errno 28\]|No space left on device", Reason.DISK_FULL),
    (r"\[Errno 98\]|[Aa]ddress already in use", Reason.PORT_IN_USE),
    # The GPU: torch (c10/cuda), vLLM's gpu_worker and kv_cache_utils, NVIDIA's container toolkit.
    (r"The NVIDIA driver on your system is too old", Reason.DRIVER_TOO_OLD),
    (r"CUDA driver version is insufficient for CUDA runtime version", Reason.DRIVER_TOO_OLD),
    (r"unsatisfied condition: cuda\s*>=", Reason.DRIVER_TOO_OLD),
    (r"CUDA out of memory|torch\.OutOfMemoryError|HIP out of memory", Reason.OUT_OF_GPU_MEMORY),
    (r"No available memory for the cache blocks", Reason.OUT_OF_GPU_MEMORY),
    (r"Free memory on device .* is less than desired GPU memory utilization", Reason.OUT_OF_GPU_MEMORY),
    (r"larger than the available KV cache memory|maximum number of tokens that can be stored in KV cache",
     Reason.OUT_OF_GPU_MEMORY),
    (r"only supported on GPUs with compute capability", Reason.ACCELERATOR_UNSUPPORTED),
    (r"no kernel image is available for execution on the device", Reason.ACCELERATOR_UNSUPPORTED),
    (r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver", Reason.ACCELERATOR_MISSING),
    (r"libcuda\.so\.1: cannot open shared object|no CUDA-capable device is detected", Reason.ACCELERATOR_MISSING),
    # The memory of the node: vLLM's own check, torch's allocator, and the kernel, which kills with signal 9.
    (r"Available memory on node .* is less than desired CPU memory utilization", Reason.OUT_OF_MEMORY),
    (r"DefaultCPUAllocator: can't allocate memory|Cannot allocate memory|\bMemoryError\b", Reason.OUT_OF_MEMORY),
    (r"died with <Signals\.SIGKILL: 9>|Failed core proc\(s\): \{[^}]*: -9", Reason.OUT_OF_MEMORY),
    # The hub.
    (r"Cannot access gated repo|access to it is restricted|trying to access a gated repo", Reason.MODEL_GATED),
    # A private model and one that does not exist look alike without a token: both answer 401.
    (r"is not a valid (model|git) identifier", Reason.MODEL_NOT_FOUND),
    (r"(Client error|HTTP Error|status_code)\W*'?(401|403)\b", Reason.MODEL_GATED),
    (r"We couldn't connect to|peer closed connection without sending", Reason.MODEL_DOWNLOAD_FAILED),
    (r"Consistency check failed|IncompleteRead|Server error '5\d\d|Read timed out", Reason.MODEL_DOWNLOAD_FAILED),
    (r"Name or service not known|Temporary failure in name resolution", Reason.MODEL_DOWNLOAD_FAILED),
    (r"LocalEntryNotFoundError", Reason.MODEL_DOWNLOAD_FAILED),
    # The model.
    (r"trust_remote_code=True", Reason.TRUST_REMOTE_CODE_REQUIRED),
    (r"are not supported for now|does not recognize this architecture", Reason.UNSUPPORTED_ARCHITECTURE),
    (r"Repo id must be in the form|ensure the presence of a 'config.json'", Reason.MODEL_NOT_FOUND),
    (r"Cannot find any model weights with", Reason.MODEL_NOT_FOUND),
    (r"SafetensorError|cannot fit 'int' into an index-sized integer", Reason.MODEL_UNREADABLE),
    (r"Value error, Expecting .* delimiter|JSONDecodeError|is not a valid JSON file", Reason.MODEL_UNREADABLE),
    (r"PermissionError: \[Errno 13\]", Reason.MODEL_UNREADABLE),
    # The command line.
    (r"vllm( serve)?: error:|error: argument|unrecognized arguments", Reason.BAD_ENGINE_ARGUMENT),
    (r"is greater than the derived max_model_len|supplied chat template .* doesn't exist", Reason.BAD_ENGINE_ARGUMENT),
    (r"VLLM_PORT .* appears to be a URI", Reason.BAD_ENGINE_ARGUMENT),
    # vLLM looks at the model's class in a process of its own; only the log tells what became of that one.
    (r"failed to be inspected", Reason.CRASH_LOOPING),
    (r"validation errors? for (Model|Vllm|Cache|Parallel|Scheduler)Config", Reason.BAD_ENGINE_ARGUMENT),
)  # fmt: skip
_TABLE: Final = tuple((re.compile(pattern), reason) for pattern, reason in _WORDS)
_CORE_FAILED: Final = re.compile(r"Engine core initialization failed\. See root cause above")
_CORE_SAID: Final = re.compile(r"EngineCore[^)]*\) ERROR")
# What differs between two runs that fail alike: log prefixes with process ids, times, addresses, ports, and how much
# of a GPU others hold.
_VOLATILE: Final = (
    (re.compile(r"\(\w+ pid=\d+\) "), ""),
    (re.compile(r"\b(?:DEBUG|INFO|WARNING|ERROR) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\] ?"), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x…"),
    (re.compile(r"\bpid[= ]\d+"), "pid …"),
    (re.compile(r"\(\d+\.\d+/(\d+\.\d+ GiB)\)"), r"(of \1)"),
    (re.compile(r" of which \S+ \wiB is free\..*"), ""),
)
_ERROR: Final = re.compile(r"\w*(Error|Exception)\b|error:")
# Pydantic puts this last, and the cause above it.
_POINTERS: Final = ("For further information visit", "For more information check", "[type=")


def read_last_words(text: str) -> tuple[Reason, str] | None:
    """The reason in the words of an engine that ended, and the line that tells it; None where they tell none.

    `text` is a termination message or a log.
    """
    words = steady(text)
    for pattern, reason in _TABLE:
        if found := _last(pattern, words):
            return reason, clip(_line_at(words, found.start()))
    if len(text) > MESSAGE_CHARACTERS and _CORE_FAILED.search(words) and not _CORE_SAID.search(text):
        return Reason.OUT_OF_MEMORY, "The engine's core ended without a word: it was killed, probably for its memory"
    return None


def telling_line(text: str) -> str:
    """The last line that names an error, else the last line at all."""
    lines = [line.strip() for line in steady(text).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_POINTERS)]
    errors = [line for line in lines if _ERROR.search(line)]
    return clip((errors or lines or ["it said nothing"])[-1])


def steady(text: str) -> str:
    """The text without what differs between two runs that fail alike."""
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return text


def clip(text: str) -> str:
    """The text, not longer than a condition has room for."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007 - the last one
        pass
    return found


def _line_at(text: str, position: int) -> str:
    begin, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    return text[begin : end if end >= 0 else None].strip()
