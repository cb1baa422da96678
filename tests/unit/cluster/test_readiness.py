import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import readiness


@contextmanager
def dns_server(flags: bytes, answers: int) -> Iterator[int]:
    """Serve one query on loopback with these header flags and this count of answers; yields the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            query, client = server.recvfrom(512)
            server.sendto(query[:2] + flags + b"\0\1" + bytes([0, answers]) + query[8:], client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("flags", "answers", "known"),
    [(b"\x81\x80", 1, True), (b"\x81\x83", 0, False), (b"\x81\x80", 0, False)],
    ids=["an address", "no such name", "no address of this kind"],
)
def test_a_name_resolves_when_the_server_answers_with_an_address(flags: bytes, answers: int, known: bool) -> None:
    with dns_server(flags, answers) as port:
        assert known == readiness.resolves("kubernetes.default.svc", "127.0.0.1", port)


def test_a_server_that_is_not_there_resolves_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert not readiness.resolves("kubernetes.default.svc", "127.0.0.1", port)
