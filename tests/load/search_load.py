"""Search as Milvus does, all the time, and say what went wrong: `python3 search_load.py PLAN`, until SIGTERM.

Each worker is one client of Milvus's kind: one connection that it keeps alive, POST /rerank without a model, and
for each search a fixed number of requests in sequence. The answer's `model` tells who scored, so a search that two
models scored is seen. One request gives one ranking and cannot be mixed; a search of several requests in flight
at a switch can. Both kinds run side by side.

Standard library only and one file: it runs in a pod with the engine image's Python. PLAN is the JSON text of a
`SearchLoad`. A line is printed for the first answer of each model and for the first one after
a long gap, and at the end the result.
"""

import contextlib
import dataclasses
import http.client
import json
import math
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlsplit

KEY_VARIABLE: Final = "RERANK_API_KEY"
TEXTS_KEPT: Final = 20
GAP_TOLD_SECONDS: Final = 5.0


@dataclasses.dataclass(frozen=True)
class Kind:
    """One way to search: workers at once, requests in sequence for a search, documents in a request."""

    name: str
    workers: int
    requests: int
    documents: int
    pause_seconds: float = 1.0
    """Between two searches of a worker."""


ONE_REQUEST: Final = Kind("one request", workers=3, requests=1, documents=100)
SEVERAL_REQUESTS: Final = Kind("several requests", workers=2, requests=3, documents=32)


@dataclasses.dataclass(frozen=True)
class SearchLoad:
    """What is asked of whom. In every request the `right` document is one of many `others`."""

    endpoint: str
    query: str
    right: str
    others: tuple[str, ...]
    kinds: tuple[Kind, ...] = (ONE_REQUEST, SEVERAL_REQUESTS)
    timeout_seconds: float = 30.0

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        plan = json.loads(text)
        kinds = tuple(Kind(**kind) for kind in plan.pop("kinds"))
        return cls(**{**plan, "others": tuple(plan["others"]), "kinds": kinds})

    def to_json(self) -> str:
        """Write it as one line."""
        return json.dumps(dataclasses.asdict(self))

    def question(self, documents: int, turn: int) -> tuple[bytes, int]:
        """Return the body of a request, and the index of the right document, which moves on with each turn."""
        best = turn % documents
        texts = [self.others[number % len(self.others)] for number in range(documents)]
        texts[best] = self.right
        body = {"query": self.query, "documents": texts, "truncate_prompt_tokens": -1}
        return json.dumps(body).encode(), best


@dataclasses.dataclass
class KindResult:
    """Counts of one kind. A failed search is one with a failed request: Milvus gives up the whole search."""

    searches: int = 0
    failed_searches: int = 0
    mixed_searches: int = 0
    requests: int = 0
    failed_requests: int = 0
    wrong_answers: int = 0


@dataclasses.dataclass
class LoadResult:
    """What the searches saw. Times are seconds since 1970, so that they compare with other logs."""

    started: float
    ended: float = 0.0
    kinds: dict[str, KindResult] = dataclasses.field(default_factory=dict)
    failures: list[str] = dataclasses.field(default_factory=list)
    """The first failed requests: time, status or exception."""
    wrong: list[str] = dataclasses.field(default_factory=list)
    """The first wrong answers: time, model, what was wrong."""
    longest_gap_seconds: float = 0.0
    """The longest time in which no worker got a good answer."""
    first_answers: dict[str, float] = dataclasses.field(default_factory=dict)
    last_answers: dict[str, float] = dataclasses.field(default_factory=dict)
    answers: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    """Good answers in each second, by model."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the line that the program ends with."""
        read = json.loads(text)
        kinds = {name: KindResult(**counts) for name, counts in read.pop("kinds").items()}
        return cls(**read, kinds=kinds)

    def to_json(self) -> str:
        """Write it as one line."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def models(self) -> list[str]:
        """Who answered, in the order of the first answers."""
        return sorted(self.first_answers, key=lambda model: self.first_answers[model])

    @property
    def failed_requests(self) -> int:
        """Requests of all kinds without an answer of status 200."""
        return sum(counts.failed_requests for counts in self.kinds.values())

    @property
    def wrong_answers(self) -> int:
        """Answers of all kinds that Milvus could not use, or that rank wrong."""
        return sum(counts.wrong_answers for counts in self.kinds.values())

    def figures(self) -> str:
        """Write the counts for a person."""
        lines = [
            f"{name}: {counts.searches} searches ({counts.failed_searches} failed, {counts.mixed_searches} mixed), "
            f"{counts.requests} requests ({counts.failed_requests} failed, {counts.wrong_answers} wrong)"
            for name, counts in self.kinds.items()
        ]
        lines.append(f"longest gap without an answer: {self.longest_gap_seconds:.1f} s of {self.seconds:.0f} s")
        for model in self.models:
            first, last = self.first_answers[model] - self.started, self.last_answers[model] - self.started
            lines.append(f"{model}: from {first:.1f} s to {last:.1f} s")
        return "\n".join(lines + self.failures + self.wrong)

    @property
    def seconds(self) -> float:
        """How long the load lasted."""
        return self.ended - self.started


class RequestFailed(Exception):  # noqa: N818 - what Milvus would see, not a fault of this program
    """A request had no answer of status 200."""


class Tally:
    """Counts what all workers see."""

    def __init__(self, load: SearchLoad, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._result = LoadResult(started=time.time(), kinds={kind.name: KindResult() for kind in load.kinds})
        self._last_answer = monotonic()
        self._answers: dict[str, Counter[str]] = {}

    def answered(self, kind: Kind, model: str, fault: str | None) -> None:
        """Count an answer; `fault` says what is wrong with it, or is None."""
        with self._lock:
            counts, now = self._result.kinds[kind.name], time.time()
            counts.requests += 1
            if fault is not None:
                counts.wrong_answers += 1
                keep(self._result.wrong, f"{clock(now)} {kind.name}: {model or 'nobody'}: {fault}")
                return
            gap = self._close_gap()
            if gap > GAP_TOLD_SECONDS:
                say({"answers again from": model, "at": clock(now), "after": round(gap, 1)})
            if model not in self._result.first_answers:
                self._result.first_answers[model] = now
                say({"first answer from": model, "at": clock(now)})
            self._result.last_answers[model] = now
            self._answers.setdefault(str(int(now)), Counter())[model] += 1

    def failed(self, kind: Kind, reason: str) -> None:
        """Count a request that failed."""
        with self._lock:
            counts = self._result.kinds[kind.name]
            counts.requests += 1
            counts.failed_requests += 1
            keep(self._result.failures, f"{clock(time.time())} {kind.name}: {reason}")

    def searched(self, kind: Kind, models: set[str], *, failed: bool) -> None:
        """Count a search that ended, and the models that scored it."""
        with self._lock:
            counts = self._result.kinds[kind.name]
            counts.searches += 1
            counts.failed_searches += failed
            counts.mixed_searches += len(models) > 1

    def close(self) -> LoadResult:
        """Return the result."""
        with self._lock:
            self._close_gap()
            answers = {second: dict(by_model) for second, by_model in sorted(self._answers.items())}
            return dataclasses.replace(self._result, ended=time.time(), answers=answers)

    def _close_gap(self) -> float:
        now = self._monotonic()
        gap = now - self._last_answer
        self._result.longest_gap_seconds = max(self._result.longest_gap_seconds, gap)
        self._last_answer = now
        return gap


class Client:
    """One connection, used as Go's client uses one of its pool."""

    def __init__(self, endpoint: str, timeout_seconds: float) -> None:
        address = urlsplit(endpoint)
        # The time-out holds for each read; an answer comes whole, so that is Milvus's time-out for the request.
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_seconds)
        self._headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            self._headers["Authorization"] = f"Bearer {key}"

    def post(self, body: bytes) -> bytes:
        """Ask once; raise RequestFailed with the status or the exception.

        Go watches its idle connections, and takes a new one when the server has closed the old one. A request
        that was written is never sent again: a POST may have had its effect, so Go does not repeat it even when
        nothing of an answer came. What fails here fails there, before Milvus's own retries.
        """
        if self._was_closed_by_server():
            self._connection.close()
        try:
            self._connection.request("POST", "/rerank", body, self._headers)
            # On "Connection: close" http.client closes with the last byte, and connects anew for the next request.
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RequestFailed(repr(error)) from error
        if answer.status != HTTPStatus.OK:
            raise RequestFailed(f"{answer.status} {content[:200].decode(errors='replace')}")
        return content

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _was_closed_by_server(self) -> bool:
        """Whether anything came on the idle connection: its end, or what nobody asked for."""
        sock = self._connection.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])


def judge(content: bytes, documents: int, best: int) -> tuple[str, str | None]:
    """Return the model that answered, and what is wrong with the answer: completeness, scores, order."""
    try:
        answer = json.loads(content)
        model = str(answer["model"])
        scores = {result["index"]: result["relevance_score"] for result in answer["results"]}
        count = len(answer["results"])
    except (ValueError, KeyError, TypeError) as error:
        return "", f"unreadable: {error!r}"
    if count != documents or scores.keys() != set(range(documents)):
        return model, f"{count} results with {len(scores)} indexes where {documents} were due"
    if not all(is_finite_number(score) for score in scores.values()):
        return model, "a score that is no finite number"
    top = max(scores, key=lambda index: float(scores[index]))
    if top != best:
        return model, f"document {top} on top ({scores[top]}), right is {best} ({scores[best]})"
    return model, None


def is_finite_number(score: Any) -> bool:
    """Whether Milvus can use a score."""
    return isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)


def search_until(stop: threading.Event, load: SearchLoad, kind: Kind, tally: Tally) -> None:
    """Be one worker."""
    turn = 0
    with contextlib.closing(Client(load.endpoint, load.timeout_seconds)) as client:
        while not stop.is_set():
            search(client, load, kind, tally, turn)
            turn += kind.requests
            stop.wait(kind.pause_seconds)


def search(client: Client, load: SearchLoad, kind: Kind, tally: Tally, turn: int) -> None:
    """Search once: all requests of a search, or those up to the first that fails."""
    models: set[str] = set()
    for number in range(turn, turn + kind.requests):
        body, best = load.question(kind.documents, number)
        try:
            content = client.post(body)
        except RequestFailed as error:
            tally.failed(kind, str(error))
            tally.searched(kind, models, failed=True)
            return
        model, fault = judge(content, kind.documents, best)
        tally.answered(kind, model, fault)
        models |= {model} - {""}
    tally.searched(kind, models, failed=False)


def run(load: SearchLoad, stop: threading.Event) -> LoadResult:
    """Search with all workers of all kinds until `stop` is set; searches in flight end first."""
    tally = Tally(load)
    workers = [
        threading.Thread(target=search_until, args=(stop, load, kind, tally), name=f"{kind.name} {number}")
        for kind in load.kinds
        for number in range(kind.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return tally.close()


def keep(texts: list[str], text: str) -> None:
    """Keep the first ones only: they tell the cause."""
    if len(texts) < TEXTS_KEPT:
        texts.append(text)


def clock(seconds: float) -> str:
    """Write a time of day in UTC with milliseconds."""
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03}"


def say(event: dict[str, Any]) -> None:
    """Print a line at once."""
    print(json.dumps(event), flush=True)


def main(arguments: list[str]) -> int:
    """Search until SIGTERM; print the result as the last line."""
    load, stop = SearchLoad.from_json(arguments[0]), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(run(load, stop).to_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
