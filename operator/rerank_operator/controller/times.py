"""Times as Kubernetes writes them."""

import datetime as dt


def seconds_of(time: str) -> float:
    """Epoch seconds of an RFC 3339 time in UTC, as Kubernetes writes it."""
    return dt.datetime.fromisoformat(time).timestamp()


def rfc3339(seconds: float) -> str:
    """The time at these epoch seconds, as Kubernetes writes it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
