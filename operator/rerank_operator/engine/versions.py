"""Releases of vLLM: which one an image holds, and which options each knows.

An unknown option ends vLLM with exit code 2. The table is checked against the recorded options of every supported
release (tests/recordings/vllm-options).
"""

import re
from typing import Final, NamedTuple


class Version(NamedTuple):
    """A release of vLLM; compares as releases do."""

    major: int
    minor: int
    patch: int = 0


# The oldest release whose options and middleware the operator uses: 0.10.1 has no --kv-cache-memory-bytes.
OLDEST: Final = Version(0, 10, 2)
# Options that not every supported release knows, or knows in the meaning that is needed.
SINCE: Final = {
    "--chat-template": Version(0, 14),  # before, only for chats: not for scores
}
_RELEASE: Final = r"v?(\d+)\.(\d+)(?:\.(\d+)(?:\.(?:post)?\d+)?)?(?![\d.])"  # 0.10.1.1 and 0.8.5.post1 have more
# v0.33.0, 0.24.0-cpu, v0.11.0rc1, and rocm7.0_vllm_0.10.2_20251006
_IN_A_TAG: Final = re.compile(rf"(?:^|vllm[-_]?){_RELEASE}")


def parse_version(text: str) -> Version:
    """A release such as `0.14.1` or `0.14`; raises ValueError for anything else."""
    found = re.match(_RELEASE, text)
    if found is None:
        raise ValueError(f"{text!r} is not a release of vLLM such as 0.14.1")
    return _version(found)


def version_of(image: str) -> Version | None:
    """The release that an image's tag names; None where it names none (latest, a digest, a tag of one's own)."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _IN_A_TAG.search(tag)
    return _version(found) if found else None


def knows(flag: str, version: Version | None) -> bool:
    """Whether a release knows an option that current ones know; an unknown release counts as a current one.

    So does one before OLDEST: it is most likely the number of somebody's own image.
    """
    return version is None or version < OLDEST or version >= SINCE.get(flag, OLDEST)


def _version(found: re.Match[str]) -> Version:
    return Version(int(found[1]), int(found[2]), int(found[3] or 0))
