"""Fetch a model from a hub into a folder, before the engine starts: an init container of model pods.

`python3 -I fetch_model.py REQUEST` reads the JSON request that the operator wrote (`engine/preparation.py`): `name` is
the model's id, `revision` a commit, tag or branch, `folder` where it goes. The hub's own library is used, which every
vLLM image has; it reads HF_ENDPOINT and HF_TOKEN. How much has arrived is printed; why nothing more arrives goes to
/dev/termination-log as JSON {"reason", "detail"}, with a reason of the operator's API. The engine then finds a complete
folder, and needs no network.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

TERMINATION_LOG = "/dev/termination-log"
COMPLETE = ".rerank-operator-complete"
PROGRESS_SECONDS = 5.0
MOST_DETAIL = 800
GB = 1e9
# Formats that vLLM does not read.
FOREIGN_FOLDERS = ("onnx/", "openvino/", "coreml/", "original/")
FOREIGN_FILES = (".gguf", ".onnx", ".engine", ".mlmodel", ".h5", ".msgpack")
PICKLES = (".bin", ".pt", ".pth")
REASONS_OF_ERRORS = {
    "GatedRepoError": "ModelGated",
    "RevisionNotFoundError": "ModelNotFound",
    "RepositoryNotFoundError": "ModelNotFound",
}


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
        say({"reason": refused.reason, "detail": refused.detail[:MOST_DETAIL]})
        print(refused, flush=True)
        return 1
    return 0


def say(message: dict[str, Any]) -> None:
    """Tell the kubelet, which keeps 4096 bytes; a machine without that file is not a pod."""
    try:
        Path(TERMINATION_LOG).write_text(json.dumps(message), encoding="utf-8")
    except OSError as error:
        print(f"{TERMINATION_LOG}: {error}", flush=True)


def fetch(request: dict[str, Any]) -> None:
    """Download the model into its folder; one that is complete is not asked for again. Raises Refused."""
    folder = Path(request["folder"])
    wanted = {"name": request["name"], "revision": request["revision"]}
    try:
        if json.loads((folder / COMPLETE).read_text(encoding="utf-8")).items() >= wanted.items():
            print(f"{request['name']} is in {folder}", flush=True)
            return
    except (OSError, ValueError):
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        commit = download(request["name"], request["revision"], folder)
        (folder / COMPLETE).write_text(json.dumps({**wanted, "commit": commit}), encoding="utf-8")
    except Refused:
        raise
    except Exception as error:  # every failure of the hub's library gets a reason
        raise of_the_hub(error, request) from error


def download(name: str, revision: str, folder: Path) -> str:
    """Fetch the files that vLLM reads; return the commit that they are of."""
    import huggingface_hub as hub  # noqa: PLC0415 - not needed for files that are there

    found = hub.HfApi().model_info(name, revision=revision, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in found.siblings or ()}
    chosen = files_to_fetch(sizes)
    total = sum(sizes[file] for file in chosen)
    free = shutil.disk_usage(folder).free + size_of(folder)
    if total > free:
        raise Refused("DiskFull", f"{name} takes {total / GB:.1f} GB, and {free / GB:.1f} GB are free in {folder}")
    done = threading.Event()
    watcher = threading.Thread(target=report_progress, args=(folder, total, done), daemon=True)
    watcher.start()
    try:
        hub.snapshot_download(name, revision=found.sha, local_dir=folder, allow_patterns=chosen)
    finally:
        done.set()
        watcher.join()
    return str(found.sha)


def files_to_fetch(sizes: dict[str, int]) -> list[str]:
    """Files by name that vLLM reads: weights in one format, and everything small beside them; no other formats."""
    read = [name for name in sizes if not name.startswith(FOREIGN_FOLDERS) and not name.endswith(FOREIGN_FILES)]
    if any(name.endswith(".safetensors") for name in read):
        return [name for name in read if not name.endswith(PICKLES)]
    return read


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; files that go meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
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
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused("DiskFull", f"{name} does not fit into {request['folder']}: {error}")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return Refused("VolumeMountFailed", f"{request['folder']} cannot be written: {error}")
    for kind in type(error).__mro__:
        if reason := REASONS_OF_ERRORS.get(kind.__name__):
            what = f"{name} has no revision {revision!r}" if kind.__name__.startswith("Revision") else name
            return Refused(reason, f"{what}: {one_line(error)}")
    return Refused("ModelDownloadFailed", f"{name}: {type(error).__name__}: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The words of an error without its line breaks."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
