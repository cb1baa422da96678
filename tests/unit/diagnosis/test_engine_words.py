"""The last words of vLLM: recorded from a real 0.32, for a full GPU from a real 0.26, others from their source."""

from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.engine_words import MESSAGE_CHARACTERS, read_last_words, telling_line
from tests.produces import produces

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings" / "last-words"
# By recording: the reason in the whole log, and whether the last 2048 bytes tell it too.
RECORDED: dict[str, tuple[Reason, bool]] = {
    "bad-choice": (Reason.BAD_ENGINE_ARGUMENT, True),
    "bad-json": (Reason.BAD_ENGINE_ARGUMENT, True),
    "bad-middleware": (Reason.GUARD_FAILED, True),
    "bad-tokenizer": (Reason.MODEL_UNREADABLE, True),
    "bad-value": (Reason.BAD_ENGINE_ARGUMENT, True),
    "breaks-config": (Reason.MODEL_DOWNLOAD_FAILED, False),
    "busy": (Reason.MODEL_DOWNLOAD_FAILED, True),
    "chat-template-missing": (Reason.BAD_ENGINE_ARGUMENT, True),
    "corrupt": (Reason.MODEL_UNREADABLE, False),
    "corrupt-header": (Reason.MODEL_UNREADABLE, True),
    "corrupt-in-header": (Reason.MODEL_UNREADABLE, True),
    "deberta": (Reason.UNSUPPORTED_ARCHITECTURE, False),
    "disk-full": (Reason.DISK_FULL, False),
    "disk-full-config": (Reason.DISK_FULL, True),
    "gated": (Reason.MODEL_GATED, True),
    "gpu-no-cache": (Reason.OUT_OF_GPU_MEMORY, False),
    "gpu-out-of-memory": (Reason.OUT_OF_GPU_MEMORY, False),
    "gpu-too-little-free": (Reason.OUT_OF_GPU_MEMORY, False),
    "maxlen": (Reason.BAD_ENGINE_ARGUMENT, True),
    "memory-check": (Reason.OUT_OF_MEMORY, False),
    "no-config": (Reason.MODEL_NOT_FOUND, True),
    "no-folder": (Reason.MODEL_NOT_FOUND, True),
    "no-weights": (Reason.MODEL_NOT_FOUND, False),
    "nodns": (Reason.MODEL_DOWNLOAD_FAILED, True),
    "norev": (Reason.MODEL_NOT_FOUND, True),
    "offline": (Reason.MODEL_DOWNLOAD_FAILED, True),
    "oom": (Reason.OUT_OF_MEMORY, True),
    "port-in-use": (Reason.PORT_IN_USE, True),
    "private": (Reason.MODEL_NOT_FOUND, True),
    "refused": (Reason.MODEL_DOWNLOAD_FAILED, True),
    "remote-code": (Reason.TRUST_REMOTE_CODE_REQUIRED, True),
    "task-score": (Reason.BAD_ENGINE_ARGUMENT, True),
    "unknown-flag": (Reason.BAD_ENGINE_ARGUMENT, True),
    "unreadable": (Reason.MODEL_UNREADABLE, True),
    "unreadable-config": (Reason.MODEL_UNREADABLE, True),
    "vllm-port": (Reason.BAD_ENGINE_ARGUMENT, False),
    "wrong-token": (Reason.MODEL_GATED, True),
    "wrongarch": (Reason.UNSUPPORTED_ARCHITECTURE, False),
    "wrongtype": (Reason.UNSUPPORTED_ARCHITECTURE, True),
}
# Word for word what torch (c10/cuda, torch/cuda/__init__.py), vLLM (gpu_worker.py, kv_cache_utils.py, platforms) and
# NVIDIA's container toolkit say. Nobody has made a GPU say these yet, but for some that are recorded as well.
WITHOUT_A_GPU: dict[str, tuple[Reason, str]] = {
    "driver": (
        Reason.DRIVER_TOO_OLD,
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
    ),
    "driver in the runtime": (
        Reason.DRIVER_TOO_OLD,
        "CUDA driver version is insufficient for CUDA runtime version",
    ),
    "driver in the toolkit": (
        Reason.DRIVER_TOO_OLD,
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver "
            "to a newer version, or use an earlier cuda container: unknown"
        ),
    ),
    "weights": (
        Reason.OUT_OF_GPU_MEMORY,
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 270.00 MiB. GPU 0 has a total capacity of "
            "14.58 GiB of which 205.56 MiB is free."
        ),
    ),
    "no room for the cache": (
        Reason.OUT_OF_GPU_MEMORY,
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
            "initializing the engine."
        ),
    ),
    "GPU shared with others": (
        Reason.OUT_OF_GPU_MEMORY,
        (
            "ValueError: Free memory on device cuda:0 (3.13/14.58 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 13.12 GiB)."
        ),
    ),
    "too long for the cache": (
        Reason.OUT_OF_GPU_MEMORY,
        (
            "ValueError: To serve at least one request with the models's max seq len (40960), (4.38 GiB KV cache is "
            "needed, which is larger than the available KV cache memory (2.11 GiB)."
        ),
    ),
    "old GPU": (
        Reason.ACCELERATOR_UNSUPPORTED,
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 "
            "GPU has compute capability 7.5."
        ),
    ),
    "older GPU": (
        Reason.ACCELERATOR_UNSUPPORTED,
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    "no GPU in the pod": (Reason.ACCELERATOR_MISSING, "RuntimeError: No CUDA GPUs are available"),
    "no driver in the pod": (
        Reason.ACCELERATOR_MISSING,
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
    ),
    "no device at all": (Reason.ACCELERATOR_MISSING, "RuntimeError: Failed to infer device type"),
}


def recorded(name: str) -> str:
    return (RECORDINGS / f"{name}.log").read_text(encoding="utf-8")


def reason_in(text: str) -> Reason | None:
    read = read_last_words(text)
    return read[0] if read else None


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (reason, _) in RECORDED.items()], ids=RECORDED)
def test_the_log_of_an_engine_that_ended_tells_why(name: str, reason: Reason) -> None:
    assert reason is reason_in(recorded(name))


@pytest.mark.parametrize("name", RECORDED)
def test_what_the_kubelet_keeps_tells_the_same_or_nothing(name: str) -> None:
    reason, tells = RECORDED[name]
    message = recorded(name).strip().encode()[-MESSAGE_CHARACTERS:].decode(errors="replace")

    assert (reason if tells else None) is reason_in(message)


def test_every_recording_is_read() -> None:
    assert {file.stem for file in RECORDINGS.glob("*.log")} == {*RECORDED, "oom-inspect"}


def test_a_killed_look_at_the_models_class_is_told_by_the_log_only() -> None:
    log = recorded("oom-inspect")

    assert Reason.OUT_OF_MEMORY is reason_in(log)
    assert Reason.CRASH_LOOPING is reason_in(log.strip()[-600:])


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(reason, words, id=name, marks=produces(reason, by="text"))
        for name, (reason, words) in WITHOUT_A_GPU.items()
    ],
)
def test_faults_of_a_gpu_are_read_in_the_words_of_their_source(reason: Reason, words: str) -> None:
    assert reason is reason_in(words)


def test_an_engine_that_ends_without_a_word_was_killed() -> None:
    log = recorded("corrupt")
    silent = "\n".join(line for line in log.splitlines() if "EngineCore pid" not in line and "Safetensor" not in line)

    assert Reason.OUT_OF_MEMORY is reason_in(silent)
    assert None is reason_in(silent[-MESSAGE_CHARACTERS:])


def test_two_runs_that_fail_alike_read_alike() -> None:
    log = recorded("corrupt")
    again = log.replace("pid=", "pid=9").replace("11-25 17:", "11-26 03:")

    assert log != again
    assert read_last_words(log) == read_last_words(again)


def test_what_another_process_holds_of_a_gpu_changes_nothing_that_is_told() -> None:
    log = recorded("gpu-out-of-memory")
    again = log.replace("685.56 MiB is free. Process 2997 has 130.79", "12.00 MiB is free. Process 31 has 131.50")

    assert log != again
    assert read_last_words(log) == read_last_words(again)
    told = read_last_words(log)
    assert told is not None
    assert told[1].endswith("Tried to allocate 732.00 MiB. GPU 0 has a total capacity of 139.80 GiB")


def test_the_telling_line_is_the_last_error_and_not_a_pointer_to_a_page() -> None:
    assert "it said nothing" == telling_line("")
    assert "drained: 0 in flight" == telling_line("starting\ndrained: 0 in flight\n")
    assert "ValueError: no" == telling_line("ValueError: no\nFor further information visit https://x\nbye")


def test_a_long_line_is_cut() -> None:
    assert 401 == len(telling_line("ValueError: " + "x" * 5000))
