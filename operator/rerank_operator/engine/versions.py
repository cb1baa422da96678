"""Which version of vLLM an image holds, and which options that version knows.

An option that vLLM does not know ends its process with exit code 2, so a newer one is given only to an image that has it.
"""

import re
from typing import Final, NamedTuple


class Version(NamedTuple):
    """A release of vLLM; compares as releases do."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST: Final = Version(0, 10)

# First version in which an option can be used as we use it. The recordings in tests/recordings/vllm-options say when an
# option appeared; --chat-template is older, but no template of a reranker was read from it before.
SINCE: Final = {
    "--chat-template": Version(0, 14),
    "--config": OLDEST,
    "--dtype": OLDEST,
    "--enforce-eager": OLDEST,
    "--gpu-memory-utilization": OLDEST,
    "--hf-overrides": OLDEST,
    "--kv-cache-memory-bytes": Version(0, 11),
    "--max-model-len": OLDEST,
    "--max-num-batched-tokens": OLDEST,
    "--max-num-seqs": OLDEST,
    "--middleware": OLDEST,
    "--no-enable-prefix-caching": OLDEST,
    "--port": OLDEST,
    "--revision": OLDEST,
    "--runner": OLDEST,
    "--served-model-name": OLDEST,
    "--tensor-parallel-size": OLDEST,
    "--tokenizer": OLDEST,
    "--trust-remote-code": OLDEST,
}

# v0.33.0, 0.24.0-cpu, v0.11.0rc1, and rocm7.0_vllm_0.10.2_20251006
_IN_A_TAG: Final = re.compile(r"(?:^|vllm[-_]?)v?(\d+)\.(\d+)\.(\d+)(?!\d)")


def version_of(image: str) -> Version | None:
    """Version that the tag of an image names; None if there is no tag, or one without a version (`latest`)."""
    name = image.partition("@")[0].rpartition("/")[2]
    found = _IN_A_TAG.search(name.partition(":")[2])
    return Version(*map(int, found.groups())) if found else None


def knows(flag: str, version: Version | None) -> bool:
    """Whether a version has an option of SINCE; an unknown version counts as a current one.

    So does one before OLDEST: it is most likely the number of somebody's own image, and vLLM itself would fail anyway.
    """
    return version is None or version < OLDEST or version >= SINCE[flag]
