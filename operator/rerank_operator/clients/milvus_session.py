"""One check of one Milvus, in a process of its own: `python -m rerank_operator.clients.milvus_session`.

A MilvusRequest comes as JSON on the standard input, a MilvusAnswer leaves on the standard output. The collection is
dropped whatever happens: after an error, when the time is up, and on SIGTERM; for that a quarter of the time is kept
back. Only SIGKILL leaves it behind, and then a later check drops it once it is old enough.

pymilvus repeats what fails, and connects anew in between, longer than it is allowed to. So a timer of the system keeps
the time.
"""

import contextlib
import importlib.resources
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

from rerank_operator.milvus.trial import MOST_CHARACTERS, MilvusAnswer, MilvusRequest, Stage, is_left_behind
from rerank_operator.milvus.versions import is_too_old

CONNECT_SECONDS: Final = 10.0
_KEPT_BACK: Final = 0.25
_MOST_KEPT_BACK: Final = 15.0
# What Milvus allows for a text.
_MOST_BYTES: Final = 65535
_LEAST_SECONDS: Final = 0.1
_PORTS: Final = {"http": 19530, "https": 443}


class Ended(BaseException):
    """The time is up, or the operator wants no answer any more. pymilvus must not take it for an error of its own."""


class NotDroppedError(Exception):
    """A collection of an older check cannot be dropped; the text is Milvus's."""


class Session:
    """What is known while a check runs."""

    def __init__(self, request: MilvusRequest) -> None:
        self._request = request
        self._stage = Stage.CONNECT
        self._version: str | None = None
        self._hits: tuple[tuple[int, float], ...] = ()
        self._client: Any = None
        self._has_own = False
        self._undropped: dict[str, str] = {}
        self._deadline = 0.0
        self._may_end = False

    def run(self) -> MilvusAnswer:
        """Check, and clean up; never raises for what Milvus does."""
        kept_back = min(self._request.timeout * _KEPT_BACK, _MOST_KEPT_BACK)
        signal.signal(signal.SIGALRM, self._time_is_up)
        signal.signal(signal.SIGTERM, self._called_off)
        with _certificates(self._request) as tls:
            error = self._within(self._request.timeout - kept_back, lambda: self._try(tls))
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            unknown = self._within(kept_back, self._clean_up) if self._has_own else ""
        if unknown:  # nobody can tell what is there
            self._undropped.setdefault(self._request.collection, unknown)
        if not error and self._undropped:
            self._stage, error = Stage.DROP, next(iter(self._undropped.values()))
        return MilvusAnswer(
            stage=self._stage,
            version=self._version,
            error=self._request.without_secrets(error)[:MOST_CHARACTERS],
            order=tuple(index for index, _ in self._hits),
            scores=tuple(score for _, score in self._hits),
            left_over=tuple(self._undropped),
        )

    def _within(self, seconds: float, step: Callable[[], None]) -> str:
        """What went wrong in a step, in words; the step is ended when its time is up."""
        self._deadline = time.monotonic() + seconds
        try:
            try:
                self._may_end = True
                signal.setitimer(signal.ITIMER_REAL, seconds)
                step()
            except Exception as failure:  # noqa: BLE001 - whatever it is, the collection has to go
                return _words_of(failure)
            finally:
                self._may_end = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Ended as ended:  # also where it came while another error was on its way
            return str(ended)
        return ""

    def _time_is_up(self, _number: int, _frame: FrameType | None) -> None:
        self._end("DEADLINE_EXCEEDED: the time for the check is up")

    def _called_off(self, _number: int, _frame: FrameType | None) -> None:
        self._end("CANCELLED: the operator called the check off")

    def _end(self, why: str) -> None:
        if self._may_end:
            self._may_end = False
            raise Ended(why)

    def _try(self, tls: Mapping[str, str]) -> None:
        request = self._request
        self._connect(tls)
        self._stage = Stage.VERSION
        self._version = self._client.get_server_version(timeout=self._left())
        if request.search and not is_too_old(self._version, needs_key=request.needs_key):
            self._stage = Stage.TIDY
            self._tidy()
            self._stage = Stage.CREATE
            self._create()
            self._stage = Stage.INSERT
            self._insert()
            self._stage = Stage.SEARCH
            self._search()
        self._stage = Stage.DONE

    def _connect(self, tls: Mapping[str, str]) -> None:
        import pymilvus  # noqa: PLC0415 - only this process may have it

        address = urlsplit(self._request.uri)
        port = address.port or _PORTS[address.scheme]
        # pymilvus cannot tell a host that is away from one that is slow.
        with socket.create_connection((address.hostname or "", port), timeout=min(CONNECT_SECONDS, self._left())):
            pass
        self._client = pymilvus.MilvusClient(
            self._request.uri,
            token=self._request.token or "",
            db_name=self._request.database or "",
            timeout=self._left(),
            dedicated=True,
            # Like every address that the operator calls: directly.
            grpc_options={"grpc.enable_http_proxy": 0},
            **tls,
        )

    def _tidy(self) -> None:
        """Drop what killed checks have left behind; where that cannot be done, nothing more is created."""
        names = self._client.list_collections(timeout=self._left())
        self._drop(*(name for name in names if is_left_behind(name, self._request.now)))
        if self._undropped:
            raise NotDroppedError(next(iter(self._undropped.values())))

    def _drop(self, *names: str) -> None:
        """Drop collections; those that are there nevertheless are remembered, with what Milvus said."""
        said = {}
        for name in names:
            try:
                self._client.drop_collection(name, timeout=self._left())
            except Exception as failure:  # noqa: BLE001 - perhaps there is none: the list tells
                said[name] = _words_of(failure)
        there = self._client.list_collections(timeout=self._left()) if names else ()
        self._undropped |= {name: said.get(name, "it is still there") for name in names if name in there}

    def _create(self) -> None:
        from pymilvus import DataType  # noqa: PLC0415

        name, (key, vector) = self._request.collection, self._fields
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(key, DataType.INT64, is_primary=True)
        schema.add_field(self._request.input_field, DataType.VARCHAR, max_length=_MOST_BYTES)
        schema.add_field(vector, DataType.FLOAT_VECTOR, dim=2)
        index = self._client.prepare_index_params()
        index.add_index(vector, index_type="FLAT", metric_type="L2")
        self._has_own = True
        self._client.create_collection(name, schema=schema, timeout=self._left())
        self._client.create_index(name, index, timeout=self._left())
        self._client.load_collection(name, timeout=self._left())

    def _insert(self) -> None:
        request, (key, vector) = self._request, self._fields
        rows = [
            {key: index, request.input_field: document, vector: [request.distances[index], 0.0]}
            for index, document in enumerate(request.documents)
        ]
        self._client.insert(request.collection, rows, timeout=self._left())

    def _search(self) -> None:
        from pymilvus import Function, FunctionType  # noqa: PLC0415

        request, (key, vector) = self._request, self._fields
        ranker = Function(function_type=FunctionType.RERANK, **request.function_for(self._version))
        (hits,) = self._client.search(
            request.collection,
            [[0.0, 0.0]],
            anns_field=vector,
            limit=len(request.documents),
            ranker=ranker,
            consistency_level="Strong",
            timeout=self._left(),
        )
        self._hits = tuple((int(hit[key]), float(hit["distance"])) for hit in hits)

    @property
    def _fields(self) -> tuple[str, str]:
        """Names of the primary key and of the vector: neither is that of the text."""
        taken = "_" if self._request.input_field in ("id", "vector") else ""
        return f"id{taken}", f"vector{taken}"

    def _clean_up(self) -> None:
        self._drop(self._request.collection)

    def _left(self) -> float:
        """Seconds for the next call."""
        return max(_LEAST_SECONDS, self._deadline - time.monotonic())


@contextlib.contextmanager
def _certificates(request: MilvusRequest) -> Iterator[dict[str, str]]:
    """What pymilvus is told for TLS. The files stay for the whole check: it reads them whenever it connects anew.

    pymilvus shows a certificate only with `ca_pem_path` and without `server_pem_path`. So where no certificates to
    trust are named, those are that gRPC trusts by itself.
    """
    if urlsplit(request.uri).scheme != "https":
        yield {}
        return
    with contextlib.ExitStack() as files:
        trusted = "" if request.ca_pem is None else _file(files, request.ca_pem)
        if request.client_pem is None or request.client_key is None:
            tls = {"server_pem_path": trusted}
        else:
            public = importlib.resources.files("grpc._cython") / "_credentials" / "roots.pem"
            tls = {
                "ca_pem_path": trusted or str(public),
                "client_pem_path": _file(files, request.client_pem),
                "client_key_path": _file(files, request.client_key),
            }
        yield {**tls, "server_name": request.server_name or ""}


def _file(files: contextlib.ExitStack, text: str) -> str:
    """Path of a file that is in memory only, and in no folder: it is gone with the process, also after SIGKILL."""
    file = files.enter_context(os.fdopen(os.memfd_create("pem"), "w", encoding="utf-8"))
    file.write(text)
    file.flush()
    return f"/proc/self/fd/{file.fileno()}"


def _words_of(failure: BaseException) -> str:
    """What gRPC says where it says something, else what Milvus says: pymilvus hides the one behind words of its own."""
    seen: list[BaseException] = []
    at: BaseException | None = failure
    while at is not None and at not in seen:
        code, details = getattr(at, "code", None), getattr(at, "details", None)
        if callable(code) and callable(details):
            return f"{code().name}: {details()}"
        seen.append(at)
        at = at.__cause__
    if isinstance(failure, OSError):
        return f"UNAVAILABLE: {failure.strerror or failure}"
    return str(getattr(failure, "message", "") or failure or type(failure).__name__)


def main() -> None:
    """Read the request, check, write the answer."""
    request = MilvusRequest.from_json(sys.stdin.read())
    import pymilvus  # noqa: F401, PLC0415 - it takes seconds, which are not Milvus's

    # Its errors are in the answer; its log would hold what is sent.
    logging.disable(logging.CRITICAL)
    answer = Session(request).run()
    sys.stdout.write(answer.to_json())
    sys.stdout.flush()
    # gRPC waits for its threads, which may hang on a Milvus that does.
    os._exit(0)


if __name__ == "__main__":
    main()
