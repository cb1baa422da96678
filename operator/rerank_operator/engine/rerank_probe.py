"""Ask the engine in this container to rerank, and judge the answer: an exec probe for ``engine.guard: Disabled``.

``python3 -I -S rerank_probe.py --port 8000 --timeout 10`` exits 0 only for a complete answer with each
document once and finite scores. Otherwise it exits 1 and prints one line that says what was wrong, which the
kubelet puts into the event of the failed probe. vLLM's own ``/health`` cannot tell: it is 200 while the
engine is frozen or has no rerank route at all.

A kubelet starts this every few seconds in every pod, so it must cost little: standard library only, a raw
socket, no argparse and no HTTP library. The file stands alone: it is mounted from a ConfigMap and imports
nothing of the operator's.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from typing import Any

DOCUMENTS = ["The capital of Brazil is Brasilia.", "The capital of France is Paris.", "Horses eat grass."]
QUESTION = json.dumps({"query": "What is the capital of France?", "documents": DOCUMENTS}).encode()
REQUEST = (
    b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(QUESTION), QUESTION)
)
USAGE = "usage: rerank_probe.py [--port PORT] [--timeout SECONDS]"
EXCERPT_BYTES = 200


def read_options(arguments: list[str]) -> tuple[int, float]:
    """Return (port, timeout in seconds); raise ValueError for anything else than the two options."""
    options = {"--port": "8000", "--timeout": "10"}
    for name, value in zip(arguments[::2], [*arguments[1::2], ""]):  # noqa: B905 - strict needs Python 3.10
        if name not in options or not value:
            raise ValueError(f"unexpected {name!r}")
        options[name] = value
    port = number("--port", options["--port"], 1, 65535)
    return int(port), number("--timeout", options["--timeout"], 0.001, 3600)


def number(name: str, text: str, least: float, most: float) -> float:
    """Return the value of an option; raise ValueError with its name, its value and what it may be."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ValueError(f"{name}={text!r} is not a number from {least:g} to {most:g}")
    return value


def ask(port: int, timeout: float) -> bytes:
    """Send the question and return the raw answer; the time-out covers everything together."""
    deadline = time.monotonic() + timeout
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(REQUEST)
        answer = bytearray()
        while chunk := receive(connection, deadline):
            answer += chunk
    return bytes(answer)


def receive(connection: socket.socket, deadline: float) -> bytes:
    """Return the next bytes, empty at the end of the answer; raise an OSError at the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")  # noqa: UP041 - another class than TimeoutError before Python 3.10
    connection.settimeout(left)
    return connection.recv(65536)


def fault(answer: bytes) -> str | None:
    """Return what is wrong with a raw HTTP answer, or None."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        return f"/rerank answered {status!r}: {excerpt(body)}"
    try:
        results = json.loads(body)["results"]
        return results_fault([result["index"] for result in results], [r["relevance_score"] for r in results])
    except (ValueError, KeyError, TypeError, OverflowError):
        return f"/rerank answered something else than rerank results: {excerpt(body)}"


def results_fault(indexes: list[Any], scores: list[Any]) -> str | None:
    """Return what is wrong with the results, or None: each document once, each score a finite number."""
    if sorted(indexes) != list(range(len(DOCUMENTS))):
        return f"/rerank answered the indexes {indexes} for {len(DOCUMENTS)} documents"
    if not all(isinstance(score, (int, float)) and math.isfinite(score) for score in scores):
        return f"/rerank answered a score that is not a finite number: {scores}"
    return None


def excerpt(text: bytes) -> str:
    """Return the start of an answer as one line."""
    return " ".join(text[:EXCERPT_BYTES].decode("utf-8", "replace").split())


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 right, 1 wrong, 2 bad usage."""
    try:
        port, timeout = read_options(arguments)
    except ValueError as error:
        print(f"{error}; {USAGE}")  # noqa: T201 - a command line tool
        return 2
    try:
        wrong = fault(ask(port, timeout))
    except OSError as error:
        wrong = f"no answer on port {port} within {timeout:g} s: {error}"
    if wrong:
        print(wrong)  # noqa: T201 - what the kubelet shows
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
