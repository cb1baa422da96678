"""What the real vLLM says when it does not start, read the way the operator reads it.

The operator sees the end of the output as the container's termination message, 2048 bytes of it, and asks for the
log where that does not tell. A fault in the engine's own process never does: vLLM's last words are then about that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from typing import TYPE_CHECKING

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.engine_words import read_last_words
from tests.doubles.hub import BUSY, ModelHub, Published, Refusal
from tests.engine.broken_models import BREAKS, ENOUGH_FOR_THE_HEADER, break_model
from tests.engine.forked_vllm import Forge, ForkedVllm, Start
from tests.engine.memory_limit import MemoryLimit
from tests.engine.tiny_reranker import ensure_model
from tests.produces import produces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
# What the kubelet keeps (FallbackToLogsOnError).
MESSAGE_BYTES = 2048
MESSAGE_LINES = 80
TOO_LITTLE_MEMORY = 400 << 20
ONLINE = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "{hub}"}
RIGHT_TOKEN = {"HF_TOKEN": "hf_right"}


@dataclasses.dataclass(frozen=True)
class Failure:
    """A start that fails, and the reason that its whole output tells.

    In `arguments` and `variables`, {model} is a working reranker, {broken} the folder of broken ones, {hub} the address
    of a hub, and {port} a port that is taken. `message_tells` is False where the last 2048 bytes do not tell the
    reason, and None where a race decides whether vLLM knows that its engine was killed. `waits` says that vLLM tries
    again and again. `disk` is the size of the disk for downloads, `memory` that of the container in bytes.
    """

    reason: Reason
    arguments: str
    variables: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    status: int = 1
    message_tells: bool | None = True
    waits: bool = False
    obeys_modes: bool = False
    disk: str = ""
    memory: int = 0


FAILURES = {
    "unknown argument": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --no-such-argument", status=2),
    "removed argument": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --task score", status=2),
    "bad value": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --max-model-len lots", status=2),
    "bad choice": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --dtype float99", status=2),
    "bad JSON": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --hf-overrides {{not-json"),
    "longer than the model": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --max-model-len 4096"),
    "no such template": Failure(Reason.BAD_ENGINE_ARGUMENT, "{model} --chat-template /no-such-template.jinja"),
    "port in use": Failure(Reason.PORT_IN_USE, "{model} --port {port}"),
    "no guard": Failure(Reason.GUARD_FAILED, "{model} --middleware rerank_guard.Guard"),
    "no such folder": Failure(Reason.MODEL_NOT_FOUND, "{broken}/no-such-folder"),
    "no configuration": Failure(Reason.MODEL_NOT_FOUND, "{broken}/no-config"),
    "no weights": Failure(Reason.MODEL_NOT_FOUND, "{broken}/no-weights", message_tells=False),
    "unknown type": Failure(Reason.UNSUPPORTED_ARCHITECTURE, "{broken}/unknown-type"),
    "unknown architecture": Failure(
        # A list of three hundred names that are supported follows the one that is not.
        Reason.UNSUPPORTED_ARCHITECTURE,
        "{broken}/unknown-architecture",
        message_tells=False,
    ),
    "own code": Failure(Reason.TRUST_REMOTE_CODE_REQUIRED, "{broken}/own-code"),
    "cut configuration": Failure(Reason.MODEL_UNREADABLE, "{broken}/cut-config"),
    "cut tokenizer": Failure(Reason.MODEL_UNREADABLE, "{broken}/cut-tokenizer"),
    "cut header": Failure(Reason.MODEL_UNREADABLE, "{broken}/cut-header"),
    "cut weights": Failure(Reason.MODEL_UNREADABLE, "{broken}/cut-weights", message_tells=False),
    "unreadable weights": Failure(Reason.MODEL_UNREADABLE, "{broken}/unreadable-weights", obeys_modes=True),
    "gated": Failure(Reason.MODEL_GATED, "org/gated", ONLINE | RIGHT_TOKEN),
    "gated, no token": Failure(Reason.MODEL_GATED, "org/gated", ONLINE),
    "wrong token": Failure(Reason.MODEL_GATED, "org/model", ONLINE | {"HF_TOKEN": "hf_wrong"}),
    "no such model": Failure(Reason.MODEL_NOT_FOUND, "org/no-such-model", ONLINE | RIGHT_TOKEN),
    # Without a token the hub does not tell a private model from none.
    "private model": Failure(Reason.MODEL_NOT_FOUND, "org/private", ONLINE),
    "no such revision": Failure(Reason.MODEL_NOT_FOUND, "org/model --revision no-such-revision", ONLINE),
    "hub refuses connections": Failure(
        Reason.MODEL_DOWNLOAD_FAILED, "org/model", ONLINE | {"HF_ENDPOINT": "http://127.0.0.1:1"}, waits=True
    ),
    "hub is busy": Failure(Reason.MODEL_DOWNLOAD_FAILED, "org/busy", ONLINE, waits=True),
    "offline": Failure(Reason.MODEL_DOWNLOAD_FAILED, "org/model", {"HF_HUB_OFFLINE": "1"}),
    "download of weights breaks off": Failure(
        Reason.MODEL_DOWNLOAD_FAILED, "org/breaks-off", ONLINE, message_tells=False, waits=True
    ),
    "no room for the configuration": Failure(Reason.DISK_FULL, "org/model", ONLINE, disk="4k"),
    "no room for the weights": Failure(Reason.DISK_FULL, "org/model", ONLINE, disk="256k", message_tells=False),
    "less memory than wanted": Failure(
        Reason.OUT_OF_MEMORY,
        "{model} --gpu-memory-utilization 1.0",
        {"VLLM_CPU_KVCACHE_SPACE": None},
        message_tells=False,
    ),
    "engine killed for its memory": Failure(
        Reason.OUT_OF_MEMORY, "{model}", memory=TOO_LITTLE_MEMORY, message_tells=None
    ),
}


class Bench:
    """What the starts need: vLLM, a working model, broken ones, a hub, a port that is taken.

    `names` are those of the starts to come, in order: those that wait begin at once, and each of the others while the
    one before it is looked at.
    """

    def __init__(self, forge: Forge, names: list[str], folder: Path, hub: ModelHub, port: int) -> None:
        self._forge = forge
        self._coming = names
        self._folder = folder
        self._names = {"model": ensure_model(), "broken": folder / "broken", "hub": hub.url, "port": port}
        self._begun: dict[str, ForkedVllm] = {}
        for name in names:
            if FAILURES[name].waits:
                self._begin(name)

    def start(self, name: str, *groups: Path) -> ForkedVllm:
        """Return the start of that name, which may have begun before."""
        begun = self._begin(name, *groups)
        after = self._coming.index(name) + 1
        for following in self._coming[after : after + 1]:
            if not FAILURES[following].memory:  # its group is made by its own test
                self._begin(following)
        return begun

    def _begin(self, name: str, *groups: Path) -> ForkedVllm:
        if name not in self._begun:
            self._begun[name] = self._forge.start(self._asked_by(FAILURES[name], groups))
        return self._begun[name]

    def _asked_by(self, failure: Failure, groups: tuple[Path, ...]) -> Start:
        arguments = [argument.format(**self._names) for argument in failure.arguments.split()]
        variables = {name: value and value.format(**self._names) for name, value in failure.variables.items()}
        if not failure.disk:
            return Start(arguments, variables, failure.obeys_modes, groups)
        disk = self._folder / failure.disk
        disk.mkdir()
        return Start(arguments, variables | {"HF_HOME": str(disk)}, disks={disk: failure.disk})


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("failures")
    model = ensure_model()
    for how in BREAKS:
        break_model(model, how, folder / "broken")
    models: dict[str, Published | Refusal] = {
        "org/model": Published(model),
        "org/gated": Published(model, gated=True),
        "org/private": Published(model, private=True),
        "org/breaks-off": Published(model, breaks_off_at=ENOUGH_FOR_THE_HEADER),
        "org/busy": BUSY,
    }
    with socket.create_server(("127.0.0.1", 0)) as taken, ModelHub(models) as hub, Forge() as forge:
        yield Bench(forge, chosen_by(request), folder, hub, taken.getsockname()[1])


def chosen_by(request: pytest.FixtureRequest) -> list[str]:
    """Return the names of the failures that this run is about."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    ours = (item for item in items if item.module is request.module)
    return [str(item.callspec.params["name"]) for item in ours if hasattr(item, "callspec")]


def last_words(log: str) -> str:
    """Return what the kubelet keeps of an output."""
    lines = "".join(log.splitlines(keepends=True)[-MESSAGE_LINES:])
    return lines.encode()[-MESSAGE_BYTES:].decode(errors="replace")


def reason_in(text: str) -> Reason | None:
    read = read_last_words(text)
    return read[0] if read else None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=produces(failure.reason, by="vLLM")) for name, failure in FAILURES.items()]
)
def test_a_start_that_fails_tells_why(bench: Bench, name: str) -> None:
    failure = FAILURES[name]
    with limited_memory(failure.memory) as groups:
        start = bench.start(name, *groups)
        assert failure.status == start.wait()
    log = start.log()
    assert failure.reason == reason_in(log), log
    told: set[Reason | None] = {failure.reason} if failure.message_tells else {None}
    if failure.message_tells is None:
        told.add(failure.reason)
    assert reason_in(last_words(log)) in told, last_words(log)


@contextlib.contextmanager
def limited_memory(size: int) -> Iterator[list[Path]]:
    """Yield the groups to start in, none for a size of 0; at the end exactly one process was killed."""
    if not size:
        yield []
        return
    with MemoryLimit(size) as limit:
        yield [limit.folder]
        assert 1 == limit.kills()
