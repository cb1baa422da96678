"""Releases of vLLM: which one an image holds, and which options each knows.

An unknown option ends vLLM with exit code 2. The table is checked against the recorded options of every supported
release (tests/recordings/vllm-options).
"""

import re
from typing import Final, NamedTuple


class Version(NamedTuple):
    """A release of vLLM."""

    major: int
    minor: int
    patch: int = 0


# The oldest release whose options and middleware the operator uses.
OLDEST: Final = Version(0, 10, 0)
# Options that not every supported release knows, or knows in the meaning that is needed.
SINCE: Final = {
    "--chat-template": Version(0, 14),  # before, only for chats: not for scores
    "--kv-cache-memory-bytes": Version(0, 10, 2),
}
_TAG: Final = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])")


def parse_version(text: str) -> Version:
    """A release such as `0.14.1` or `0.14`; raises ValueError for anything else."""
    found = _TAG.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a release of vLLM such as 0.14.1")
    return Version(int(found[1]), int(found[2]), int(found[3] or 0))


def version_of(image: str) -> Version | None:
    """The release that an image's tag names; None where it names none (latest, a digest, a tag of one's own)."""
    name, colon, tag = image.partition("@")[0].rpartition(":")
    if not colon or "/" in tag or not name:
        return None
    try:
        return parse_version(tag)
    except ValueError:
        return None


def knows(flag: str, version: Version | None) -> bool:
    """Whether a release knows an option that current ones know; an unknown release counts as a current one."""
    return version is None or version >= SINCE.get(flag, OLDEST)
