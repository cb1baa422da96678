"""An object is followed over every break of the connection, until it is gone."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import pytest

from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from rerank_operator.clients.watching import follow, read_events

Object = dict[str, Any]


def version(number: int, uid: str = "uid-1") -> Object:
    return {"metadata": {"uid": uid, "resourceVersion": str(number)}}


def event(kind: str, obj: Object) -> Object:
    return {"type": kind, "object": obj}


class ScriptedApi:
    """Answers each GET and each watch with the next entry of a list; an error in it is raised."""

    def __init__(self, reads: Iterable[Object | Exception | None], watches: Iterable[list[Object | Exception]]) -> None:
        self._reads, self._watches = iter(reads), iter(watches)
        self.asked_since: list[str] = []

    async def get(self) -> Object | None:
        answer = next(self._reads)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def changes_since(self, since: str) -> AsyncGenerator[Object, None]:
        self.asked_since.append(since)
        for answer in next(self._watches):
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def follow(self) -> list[Object]:
        async def gather() -> list[Object]:
            return [obj async for obj in follow(self.get, self.changes_since, pause=0)]

        return asyncio.run(gather())


def test_the_object_comes_first_and_then_each_change_until_it_is_deleted() -> None:
    api = ScriptedApi(
        [version(1)],
        [[event("MODIFIED", version(2)), event("BOOKMARK", version(7)), event("DELETED", version(8))]],
    )

    assert [version(1), version(2)] == api.follow()
    assert ["1"] == api.asked_since


def test_a_watch_that_ends_is_begun_again_where_it_was() -> None:
    api = ScriptedApi(
        [version(1), version(2), version(4), None],
        [[event("MODIFIED", version(2))], [], [event("MODIFIED", version(5))]],
    )

    assert [version(1), version(2), version(4), version(5)] == api.follow()
    assert ["1", "2", "4"] == api.asked_since


def test_an_api_server_that_goes_away_is_asked_until_it_is_back() -> None:
    api = ScriptedApi(
        [version(1), ApiUnavailable("refused"), ApiUnavailable("refused"), version(2), None],
        [[ApiUnavailable("broke off")], []],
    )

    assert [version(1), version(2)] == api.follow()


def test_an_object_that_is_not_there_is_not_followed() -> None:
    assert [] == ScriptedApi([None], []).follow()


def test_another_object_of_the_same_name_is_not_the_same() -> None:
    assert [version(1)] == ScriptedApi([version(1), version(9, "uid-2")], [[]]).follow()


@pytest.mark.parametrize("error", [ApiUnavailable("refused"), ApiRejected("403")])
def test_a_first_request_that_fails_is_told(error: Exception) -> None:
    with pytest.raises(type(error)):
        ScriptedApi([error], []).follow()


def test_a_right_that_is_missing_ends_it() -> None:
    with pytest.raises(ApiRejected):
        ScriptedApi([version(1)], [[ApiRejected("cannot watch")]]).follow()


def read(*chunks: bytes) -> list[Object]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def gather() -> list[Object]:
        return [obj async for obj in read_events(stream())]

    return asyncio.run(gather())


def test_events_are_lines_however_they_are_cut() -> None:
    assert [{"type": "A"}, {"type": "B"}] == read(b'{"type":', b'"A"}\n{"type": "B"}', b"\n")


def test_a_version_that_is_too_old_ends_the_watch() -> None:
    with pytest.raises(ApiUnavailable, match="too old resource version"):
        read(b'{"type": "ERROR", "object": {"code": 410, "message": "too old resource version: 1 (9)"}}\n')
