"""The init container that fetches a model, with the hub's library of a vLLM environment, against a hub on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import LoadingStep
from rerank_operator.diagnosis.progress_words import read_progress
from rerank_operator.diagnosis.step_words import read_step
from rerank_operator.engine import fetch_model, preparation
from tests.doubles.hub import BUSY, COMMIT, TOKEN, TOO_MANY_REQUESTS, ModelHub, Published, Refusal
from tests.engine import environment
from tests.produces import produces
from tests.unit.engine.model_step import obeying_modes, with_paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]
WEIGHTS = bytes(range(256)) * 1000
WANTED = {
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "own_code.py": b"",
    "1_Pooling/config.json": b"{}",
    "odd[1].json": b"{}",
}
UNWANTED = (
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "onnx/model.onnx", "model.Q4.gguf", "tf_model.h5"),
    *("training_args.bin", "optimizer.pt", "checkpoint-500/model.safetensors", "openvino/openvino_model.xml"),
)


class Outcome(NamedTuple):
    """How the step ended, its log, and what it left for the kubelet."""

    status: int
    log: str
    words: str

    @property
    def fault(self) -> tuple[Reason, str]:
        """What the operator reads of it."""
        assert 1 == self.status, self
        assert TOKEN not in self.log + self.words
        return read_step(self.words, "crashed")


class Pod:
    """A place to fetch models into, from a hub."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.folder = root / "models" / "m"
        self.words = root / "termination-log"

    def command(self, name: str, revision: str) -> list[str]:
        request = {"name": name, "revision": revision, "folder": str(self.folder)}
        (self.root / "model.json").write_text(json.dumps(request))
        paths = {fetch_model.TERMINATION_LOG: self.words}
        script = with_paths(fetch_model, paths, self.root / preparation.FETCH_FILE)
        python = str(environment.ensure().python)
        return [python, *preparation.fetch_command()[1:2], str(script), str(self.root / "model.json")]

    def fetch(self, name: str = "org/model", revision: str = "main", *before: str, **variables: str) -> Outcome:
        """Run the step, started by the command `before`."""
        self.words.unlink(missing_ok=True)
        done = subprocess.run(
            [*before, *self.command(name, revision)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
            env=self.environment(**variables),
        )
        return Outcome(done.returncode, done.stdout, self.words.read_text() if self.words.exists() else "")

    def environment(self, **variables: str) -> dict[str, str]:
        home = str(self.root / "home")
        return {"HOME": home, "HF_HOME": home, "HF_ENDPOINT": self.url, "PATH": "/usr/bin:/bin:/usr/sbin", **variables}

    def files(self) -> dict[str, bytes]:
        """What arrived, without what the hub's library and the step keep for themselves."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
        contents = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}
        return {name: content for name, content in contents.items() if name != fetch_model.COMPLETE}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for name, content in {**WANTED, **dict.fromkeys(UNWANTED, b"unwanted")}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def hub(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelHub]:
    foreign, many = tmp_path_factory.mktemp("foreign"), tmp_path_factory.mktemp("many")
    (foreign / "model-Q4_K_M.gguf").write_bytes(b"x")
    for number in range(40):
        (many / f"{number}.json").write_bytes(b"{}")
    (many / "model.safetensors").write_bytes(b"x")
    models: dict[str, Published | Refusal] = {
        "org/model": Published(published),
        "org/gated": Published(published, gated=True),
        "org/private": Published(published, private=True),
        "org/breaks-off": Published(published, breaks_off_at=100_000),
        "org/mirrored": Published(published, sizes=False),
        "org/foreign": Published(foreign),
        "org/many": Published(many),
        "org/busy": BUSY,
        "org/limited": TOO_MANY_REQUESTS,
    }
    with ModelHub(models) as hub:
        yield hub


@pytest.fixture
def pod(hub: ModelHub, tmp_path: Path) -> Pod:
    hub.asked.clear()
    return Pod(tmp_path, hub.url)


def test_what_vllm_reads_is_fetched_and_nothing_else(pod: Pod) -> None:
    done = pod.fetch()

    assert (0, "") == (done.status, done.words), done.log
    assert WANTED == pod.files()
    assert (LoadingStep.DOWNLOADING_MODEL, "0 % of 0.00 GB") == read_progress(done.log)


def test_a_model_that_is_there_is_not_asked_for_again(hub: ModelHub, pod: Pod) -> None:
    pod.fetch()
    hub.asked.clear()

    assert (0, f"org/model is in {pod.folder}\n", "") == pod.fetch()
    assert [] == hub.asked


def test_the_commit_that_a_branch_stood_for_is_fetched_and_kept(hub: ModelHub, pod: Pod) -> None:
    pod.fetch()

    assert COMMIT == json.loads((pod.folder / fetch_model.COMPLETE).read_text())["commit"]
    assert [] == [asked for asked in hub.asked if "/resolve/" in asked and COMMIT not in asked]


def test_another_revision_or_model_is_fetched_into_the_same_folder(hub: ModelHub, pod: Pod) -> None:
    for name, revision in (("org/model", "main"), ("org/model", COMMIT), ("org/mirrored", COMMIT)):
        hub.asked.clear()
        assert 0 == pod.fetch(name, revision).status
        assert hub.asked
    assert 0 == pod.fetch("org/mirrored", COMMIT).status


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_file_that_somebody_took_away_is_fetched_again(pod: Pod, damage: str) -> None:
    pod.fetch()
    weights = pod.folder / "model.safetensors"
    weights.unlink() if damage == "gone" else weights.write_bytes(WEIGHTS[:1000])

    assert 0 == pod.fetch().status
    assert WANTED == pod.files()


@produces(Reason.MODEL_DOWNLOAD_FAILED, by="step")
def test_a_download_that_breaks_off_is_completed_by_the_next_one(pod: Pod) -> None:
    told = [pod.fetch("org/breaks-off").fault for _ in range(2)]
    assert told[0] == told[1]
    assert Reason.MODEL_DOWNLOAD_FAILED is told[0][0], told
    assert not (pod.folder / fetch_model.COMPLETE).exists()

    assert 0 == pod.fetch().status
    assert WANTED == pod.files()


class Failure(NamedTuple):
    """What is asked for, with which token, and what is said of it."""

    reason: Reason
    words: str
    name: str = "org/model"
    revision: str = "main"
    token: str = ""


FAILURES = {
    "gated": Failure(Reason.MODEL_GATED, "Cannot access gated repo", "org/gated", token=TOKEN),
    "gated, no token": Failure(Reason.MODEL_GATED, "You must be authenticated", "org/gated"),
    "wrong token": Failure(Reason.MODEL_GATED, "Invalid credentials", token="hf_wrong"),  # noqa: S106 - made up
    "private, no token": Failure(Reason.MODEL_NOT_FOUND, "org/private", "org/private"),
    "no such model": Failure(Reason.MODEL_NOT_FOUND, "Repository Not Found", "org/nowhere", token=TOKEN),
    "no such model, no token": Failure(Reason.MODEL_NOT_FOUND, "Repository Not Found", "org/nowhere"),
    "no name of a model": Failure(Reason.MODEL_NOT_FOUND, "Cannot have -- or ..", "org/a--b"),
    "no such revision": Failure(Reason.MODEL_NOT_FOUND, "org/model has no revision 'v9'", revision="v9"),
    "busy": Failure(Reason.MODEL_DOWNLOAD_FAILED, "503", "org/busy"),
    "too many requests": Failure(Reason.MODEL_DOWNLOAD_FAILED, "429", "org/limited"),
    "another format": Failure(Reason.MODEL_REFUSED, "org/foreign holds only GGUF files", "org/foreign"),
}


@pytest.mark.parametrize(
    "failure", [pytest.param(f, marks=produces(f.reason, by="step"), id=name) for name, f in FAILURES.items()]
)
def test_why_nothing_comes_is_told_and_twice_alike(pod: Pod, failure: Failure) -> None:
    token = {"HF_TOKEN": failure.token} if failure.token else {}
    told = [pod.fetch(failure.name, failure.revision, **token).fault for _ in range(2)]

    assert failure.reason is told[0][0], told
    assert failure.words in told[0][1]
    assert told[0] == told[1]


def test_a_private_model_comes_with_its_token(pod: Pod) -> None:
    assert 0 == pod.fetch("org/private", HF_TOKEN=TOKEN).status


@produces(Reason.MODEL_DOWNLOAD_FAILED, by="step")
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "http://me:secret@127.0.0.1:1", "http://no-such-host.invalid"]
)
def test_a_hub_that_cannot_be_reached_is_told(pod: Pod, address: str) -> None:
    reason, detail = pod.fetch(HF_ENDPOINT=address).fault

    assert Reason.MODEL_DOWNLOAD_FAILED is reason
    assert detail.startswith("org/model: ConnectError: ")
    assert "secret" not in detail


def test_a_folder_with_something_in_it_is_no_download(pod: Pod) -> None:
    pod.folder.mkdir(parents=True)
    (pod.folder / "config.json").write_text("{}")
    assert Reason.MODEL_DOWNLOAD_FAILED is pod.fetch(HF_ENDPOINT="http://127.0.0.1:1").fault[0]


def on_a_disk_of(size: str, folder: Path) -> list[str]:
    """Return what to start a command with that sees an empty disk on a folder."""
    folder.mkdir(parents=True)
    mount = 'mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, "sh", size, str(folder)]


@produces(Reason.DISK_FULL, by="step")
def test_a_model_that_is_larger_than_the_disk_is_not_begun(hub: ModelHub, pod: Pod) -> None:
    reason, detail = pod.fetch("org/model", "main", *on_a_disk_of("64k", pod.folder)).fault

    assert (Reason.DISK_FULL, f"org/model takes 0.0 GB, and 0.0 GB are free in {pod.folder}") == (reason, detail)
    assert [] == [asked for asked in hub.asked if "/resolve/" in asked]


@produces(Reason.DISK_FULL, by="step")
@pytest.mark.parametrize("name", ["org/many", "org/mirrored"])
def test_a_disk_that_gets_full_meanwhile_is_told(pod: Pod, name: str) -> None:
    reason, detail = pod.fetch(name, "main", *on_a_disk_of("64k", pod.folder)).fault

    assert Reason.DISK_FULL is reason, detail
    assert f"{name} does not fit into {pod.folder}" in detail


@produces(Reason.VOLUME_MOUNT_FAILED, by="step")
@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_cannot_be_written_is_told(pod: Pod, begun: bool) -> None:
    locked = pod.folder if begun else pod.folder.parent
    locked.mkdir(parents=True)
    locked.chmod(0o555)
    reason, detail = pod.fetch("org/model", "main", *obeying_modes()).fault
    locked.chmod(0o755)

    assert Reason.VOLUME_MOUNT_FAILED is reason, detail
    assert "Permission denied" in detail


def test_a_deleted_pod_does_not_wait_for_its_download(pod: Pod) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        # The first process of a container: no signal ends it that it does not expect.
        first = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        started = subprocess.Popen([*first, *pod.command("org/model", "main")], env=pod.environment(HF_ENDPOINT=url))
        with contextlib.ExitStack() as stack:
            stack.callback(started.kill)
            silent.settimeout(60)
            stack.enter_context(silent.accept()[0])
            (child,) = children_of(started.pid)
            subprocess.run(["kill", "-TERM", str(child)], check=True)
            assert fetch_model.STOPPED == started.wait(20)


def children_of(process: int) -> list[Any]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=True)
    return found.stdout.split()
