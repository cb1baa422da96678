"""What a reference to a Secret or a ConfigMap gives, and what is told where it gives nothing."""

import asyncio
import base64
from typing import Any, cast

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from rerank_operator.clients.kube import CONFIG_MAPS, SECRETS, Kind
from rerank_operator.controller.references import UnresolvedError, first_key, texts


class Kube:
    """An API server that answers each look in one way, and remembers what was looked for."""

    def __init__(self, answer: Exception | dict[str, Any] | None) -> None:
        self._answer = answer
        self.asked: list[tuple[Kind, str, str]] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append((kind, namespace, name))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def a_secret(**values: bytes) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value).decode() for name, value in values.items()}}


def key_in(kube: Kube, secret: str | None = "callers") -> str | None:  # noqa: S107 - its name
    return asyncio.run(first_key(cast("Any", kube), "search", secret))


def texts_in(kube: Kube, kind: Kind, *keys: str) -> tuple[str, ...]:
    return asyncio.run(texts(cast("Any", kube), kind, "search", "named", *keys))


def test_the_first_key_of_callers_is_that_of_the_first_name() -> None:
    kube = Kube(a_secret(b=b"third", a=b"first\nsecond"))
    assert "first" == key_in(kube)
    assert [(SECRETS, "search", "callers")] == kube.asked


def test_without_a_secret_nothing_is_read() -> None:
    kube = Kube(None)
    assert None is key_in(kube, None)
    assert [] == kube.asked


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (None, Reason.SECRET_MISSING, "Secret 'callers' does not exist"),
        ({}, Reason.SECRET_KEY_MISSING, "Secret 'callers' holds no key"),
        (a_secret(a=b" \n"), Reason.SECRET_KEY_MISSING, "Secret 'callers' holds no key"),
        (ApiRejected("forbidden"), None, "The operator may not read Secret 'callers': forbidden"),
    ],
)
def test_a_secret_without_a_key_is_told(answer: Any, reason: Reason | None, words: str) -> None:
    with pytest.raises(UnresolvedError) as error:
        key_in(Kube(answer))
    assert (reason, words) == (error.value.reason, str(error.value))


def test_an_api_server_that_is_away_is_no_missing_secret() -> None:
    with pytest.raises(ApiUnavailable):
        key_in(Kube(ApiUnavailable("503")))


def test_values_of_one_object_are_read_at_once_without_blanks_around_them() -> None:
    kube = Kube(a_secret(one=b" 1\n", two=b"2"))
    assert ("2", "1") == texts_in(kube, SECRETS, "two", "one")
    assert ("PEM",) == texts_in(Kube({"data": {"ca.crt": "PEM\n"}}), CONFIG_MAPS, "ca.crt")
    assert 1 == len(kube.asked)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (a_secret(one=b"1"), "Secret 'named' has no key 'two'"),
        (a_secret(one=b"1", two=b"a-secret\xff"), "key 'two' of Secret 'named' is no text"),
    ],
)
def test_a_value_that_is_missing_or_no_text_is_told_without_its_value(answer: Any, words: str) -> None:
    with pytest.raises(UnresolvedError) as error:
        texts_in(Kube(answer), SECRETS, "one", "two")
    assert (Reason.SECRET_KEY_MISSING, words) == (error.value.reason, str(error.value))
    assert error.value.__cause__ is None
