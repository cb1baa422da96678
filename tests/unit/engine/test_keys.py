"""The keys of callers in a Secret, read as the guard reads them."""

import base64

from rerank_operator.engine.keys import keys_of


def data(**values: bytes) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


def test_each_line_of_each_value_is_a_key() -> None:
    assert ("one", "two", "three") == keys_of(data(b=b" three \n\n", a=b"one\r\ntwo\n"))


def test_a_secret_without_a_line_of_text_holds_no_key() -> None:
    assert () == keys_of({})
    assert () == keys_of(data(a=b"\n \n", b=b"\xff\xfe"))
