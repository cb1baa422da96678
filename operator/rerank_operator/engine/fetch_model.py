"""Fetch a model from a hub into a folder, before the engine starts: an init container of model pods.

`python3 -I fetch_model.py REQUEST` reads the JSON request that the operator wrote (`engine/preparation.py`): `name` is
the model's id, `revision` a commit, tag or branch, `folder` where it goes. The hub's own library is used, which every
vLLM image has; it reads HF_ENDPOINT and HF_TOKEN. How much has arrived is printed; why nothing more arrives goes to
/dev/termination-log as JSON {"reason", "detail"}, with a reason of the operator's API. The engine then finds a complete
folder, and needs no network.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

TERMINATION_LOG = "/dev/termination-log"
COMPLETE = ".rerank-operator-complete"
PROGRESS_SECONDS = 5.0
HUB_SECONDS = 30.0
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
# The kubelet keeps 4096 bytes. As JSON: a letter may take twelve.
MOST_DETAIL = 1500
STOPPED = 143
GB = 1e9
# What vLLM does not read: other formats, and what a training leaves.
FOREIGN_FOLDERS = ("onnx/", "openvino/", "coreml/", "original/", "checkpoint-")
FOREIGN = {".gguf": "GGUF", ".onnx": "ONNX", ".engine": "TensorRT", ".mlmodel": "Core ML", ".h5": "TensorFlow"}
FOREIGN_FILES = (*FOREIGN, ".onnx_data", ".msgpack", ".ot", ".tflite")
LEFTOVERS = ("training_args.", "optimizer.", "scheduler.", "scaler.", "rng_state", "openvino_model")
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
PICKLES = (".bin", ".bin.index.json", ".pt", ".pth")
REASONS_OF_ERRORS = {
    "GatedRepoError": "ModelGated",
    "DisabledRepoError": "ModelNotFound",
    "RevisionNotFoundError": "ModelNotFound",
    "RepositoryNotFoundError": "ModelNotFound",
    "HFValidationError": "ModelNotFound",
}
# What differs between two tries that fail alike, or is not for everybody: a status is read by many.
PRIVATE = (
    (re.compile(r"\s*\([\w ]+ ID: [^)]*\)"), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x…"),
    (re.compile(r"(https?://)[^/@\s]+@"), r"\1"),
    # Several files are fetched at once, and any of them may be the first that is refused.
    (re.compile(r"(/resolve/)[^\s'\")>]*[^\s'\")>.]"), r"\1…"),
    (re.compile(r"(https?://[^\s?]+)\?[^\s'\")>]*"), r"\1"),
)


class Refused(Exception):  # noqa: N818 - an answer, not a mistake
    """The model cannot be served: `reason` is a reason of the operator's API, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def main(request_file: str) -> int:
    """Return 0 for a model that is there; say why it is not, and return 1."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    try:
        fetch(request)
    except Refused as refused:
        say({"reason": refused.reason, "detail": cut(refused.detail)})
        return 1
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


def fetch(request: dict[str, Any]) -> None:
    """Download the model into its folder; one that is complete is not asked for again. Raises Refused."""
    folder = Path(request["folder"])
    try:
        if is_complete(folder, request):
            print(f"{request['name']} is in {folder}", flush=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        found = download(request["name"], request["revision"], folder)
        found.update(name=request["name"], revision=request["revision"])
        (folder / COMPLETE).write_text(json.dumps(found), encoding="utf-8")
    except Refused:
        raise
    except Exception as error:  # every failure of the hub's library gets a reason
        raise of_the_hub(error, request) from error


def is_complete(folder: Path, request: dict[str, Any]) -> bool:
    """Whether this model was fetched to its end before, and nobody took a file away since."""
    try:
        done = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        same = (done["name"], done["revision"]) == (request["name"], request["revision"])
        return same and not missing(folder, done["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def missing(folder: Path, sizes: dict[str, int | None]) -> list[str]:
    """Files of these names and sizes that are not in the folder. Sizes are bytes, None where a mirror tells none."""
    return [name for name, size in sizes.items() if not is_file_of(folder / name, size)]


def is_file_of(path: Path, size: int | None) -> bool:
    """Whether there is a file of this size."""
    return path.is_file() and size in (None, path.stat().st_size)


def download(name: str, revision: str, folder: Path) -> dict[str, Any]:
    """Fetch the files that vLLM reads; return the commit that they are of, and their sizes. Raises Refused."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # a bar is one endless line of a log
    import huggingface_hub as hub  # noqa: PLC0415 - not needed for files that are there

    found = hub.HfApi().model_info(name, revision=revision, files_metadata=True, timeout=HUB_SECONDS)
    listed = {file.rfilename: file.size for file in found.siblings or ()}
    sizes = {file: listed[file] for file in files_to_fetch(listed)}
    if not any(file.endswith(WEIGHTS) for file in sizes):
        kinds = sorted({FOREIGN[Path(file).suffix] for file in listed if Path(file).suffix in FOREIGN})
        what = f"only {' and '.join(kinds)} files" if kinds else "no weights (*.safetensors or *.bin)"
        raise Refused("ModelRefused", f"{name} holds {what}; vLLM serves rerankers from safetensors: use another one")
    total = sum(size or 0 for size in sizes.values())
    free = shutil.disk_usage(folder).free + size_of(folder)
    if total > free:
        raise Refused("DiskFull", f"{name} takes {total / GB:.1f} GB, and {free / GB:.1f} GB are free in {folder}")
    for file in missing(folder, sizes):
        (folder / file).unlink(missing_ok=True)  # the hub's library may take a file that was cut off for its own
    done = threading.Event()
    watcher = threading.Thread(target=report_progress, args=(folder, total, done), daemon=True)
    watcher.start()
    try:
        patterns = [glob.escape(file) for file in sizes]
        hub.snapshot_download(name, revision=found.sha, local_dir=folder, allow_patterns=patterns)
    finally:
        done.set()
        watcher.join()
    # A folder with anything in it is enough for the hub's library where it does not reach the hub.
    if lacking := missing(folder, sizes):
        raise Refused("ModelDownloadFailed", f"{name}: {lacking[0]} did not arrive")
    return {"commit": found.sha, "files": sizes}


def files_to_fetch(names: Iterable[str]) -> list[str]:
    """Files that vLLM reads: weights in one format, and everything small beside them; no other formats."""
    read = [name for name in names if not is_foreign(name)]
    better = {name.rpartition("/")[0] for name in read if name.endswith(".safetensors")}
    return [name for name in read if not (name.endswith(PICKLES) and name.rpartition("/")[0] in better)]


def is_foreign(name: str) -> bool:
    """Whether a file is of no use to vLLM."""
    is_leftover = name.rpartition("/")[2].startswith(LEFTOVERS)
    return name.startswith(FOREIGN_FOLDERS) or name.endswith(FOREIGN_FILES) or is_leftover


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; files that go meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total


def report_progress(folder: Path, total: int, done: threading.Event) -> None:
    """Print how much has arrived, in the words that the operator reads (`diagnosis/progress_words.py`)."""
    while True:
        percent = min(100, 100 * size_of(folder) // max(total, 1))
        print(f"downloaded {percent} % of {total / GB:.2f} GB", flush=True)
        if done.wait(PROGRESS_SECONDS):
            return


def of_the_hub(error: BaseException, request: dict[str, Any]) -> Refused:
    """What a failed download means; the hub's library names it by the class of the error."""
    name, revision = request["name"], request["revision"]
    said = f"{type(error).__name__}: {one_line(error)}"
    number = error.errno if isinstance(error, OSError) else None
    # The library for large files is not Python's, and has errors of its own.
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in said:
        return Refused("DiskFull", f"{name} does not fit into {request['folder']}: {said}")
    if number in (errno.EACCES, errno.EROFS, errno.EPERM):
        return Refused("VolumeMountFailed", f"{request['folder']} cannot be written: {said}")
    status = getattr(getattr(error, "response", None), "status_code", None)
    # Without a token the hub says 401 of what does not exist; with one, 401 is about the token.
    if status == 403 or (status == 401 and any(map(os.environ.get, TOKENS))):  # noqa: PLR2004 - they are that known
        return Refused("ModelGated", f"{name}: {said}")
    for kind in type(error).__mro__:
        if reason := REASONS_OF_ERRORS.get(kind.__name__):
            what = f"{name} has no revision {revision!r}" if kind.__name__.startswith("Revision") else name
            return Refused(reason, f"{what}: {said}")
    return Refused("ModelDownloadFailed", f"{name}: {said}")


def one_line(error: BaseException) -> str:
    """The words of an error without line breaks, secrets, and what differs from try to try."""
    words = " ".join(str(error).split())
    for pattern, instead in PRIVATE:
        words = pattern.sub(instead, words)
    for token in filter(None, (os.environ.get(name, "").strip() for name in TOKENS)):
        words = words.replace(token, "…")
    return words


if __name__ == "__main__":
    # The first process of a container does not end by this signal: a deleted pod would wait for its download.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(STOPPED))
    sys.exit(main(sys.argv[1]))
