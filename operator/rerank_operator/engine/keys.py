"""The keys of callers, as the guard reads them from the mounted Secret. Pure."""

import base64
from collections.abc import Mapping


def keys_of(data: Mapping[str, str]) -> tuple[str, ...]:
    """Every line of every value of a Secret's `data` (base64), in the order of the value's names; empty for none.

    A line that is no ASCII text cannot be sent in a header, and is left out.
    """
    values = (base64.b64decode(data[name]) for name in sorted(data))
    lines = (line.strip() for value in values for line in value.splitlines())
    return tuple(line.decode("ascii") for line in lines if line and line.isascii())
