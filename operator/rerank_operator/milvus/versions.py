"""Versions of Milvus: what each generation of its vllm provider knows. Pure.

The facts were read in Milvus's sources and seen when its own rerank code was run at four points of its history: the
days of 2.6.0 and 2.6.1, late 2.6 (2026-04), and 3.0 (2026-08). A version that cannot be read tells nothing: then
nothing is assumed, and what is published serves every generation.
"""

import re
from typing import Final, NamedTuple

LITE_PREFIX: Final = "milvus_lite"
# 2.6.6, v2.6.6, v2.6.x, 2.6, 3.0-dev, 2.6.6-20251101-abcdef
_VERSION: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?!\d)")


class Version(NamedTuple):
    """A version of Milvus; `patch` is None where only the line is told (`2.6`, `v2.6.x`)."""

    major: int
    minor: int
    patch: int | None = None

    def is_before(self, major: int, minor: int, patch: int) -> bool:
        """Whether it is older for sure: of an unknown patch nobody knows."""
        if (self.major, self.minor) != (major, minor):
            return (self.major, self.minor) < (major, minor)
        return self.patch is not None and self.patch < patch


class Generation(NamedTuple):
    """Versions in which Milvus calls a vLLM reranker in the same way.

    `route` is the path that replaces the one of the endpoint. `params` are the keys that the provider reads; it ignores
    all others without a word.
    """

    name: str
    since: tuple[int, int, int]
    route: str
    batch_key: str
    params: frozenset[str]


_SHARED: Final = frozenset({"reranker", "provider", "queries", "endpoint", "truncate_prompt_tokens"})
_CURRENT: Final = _SHARED | {"max_client_batch_size", "credential", "integration_id"}

# Newest first.
GENERATIONS: Final = (
    # Milvus's pull request 50228 (2026-06) added `timeout_ms`; run: an answer is waited for that long. Older code
    # ignores it and waits 30 seconds.
    Generation("3.0", (3, 0, 0), "/rerank", "max_client_batch_size", _CURRENT | {"timeout_ms"}),
    # Pull request 43270 (2025-08) changed route and batch key, and sends `Authorization: Bearer` for a credential.
    Generation("2.6.1", (2, 6, 1), "/rerank", "max_client_batch_size", _CURRENT),
    # Pull request 41947 (2025-05); 2.6.0 is of 2025-08-06. Run: it sends no key, even where the params name one.
    Generation("2.6.0", (2, 6, 0), "/v2/rerank", "max_batch", _SHARED | {"max_batch"}),
)


def parse_version(text: str | None) -> Version | None:
    """What Milvus, or a person, says its version is; None where that cannot be read, and for Milvus Lite."""
    found = _VERSION.match((text or "").strip())
    return Version(int(found[1]), int(found[2]), None if found[3] is None else int(found[3])) if found else None


def is_lite(version: str | None) -> bool:
    """Whether it is Milvus Lite, which says `milvus_lite-3.2.2` and knows no provider but cohere (run: 3.2.2)."""
    return (version or "").strip().lower().startswith(LITE_PREFIX)


def is_too_old(version: str | None, *, needs_key: bool) -> bool:
    """Whether such a server can for sure not rerank with what is published.

    Before 2.6.0 the field of the ranker is not known, so a search ignores it without an error (run: 2.3.5; reported by
    users for 2.5). 2.6.0 sends no key, so an engine that wants one answers it 401.
    """
    parsed = parse_version(version)
    return parsed is not None and parsed.is_before(2, 6, 1 if needs_key else 0)


def generations_of(version: str | None) -> tuple[Generation, ...]:
    """The generations that a version may belong to: all for an unknown one, none for one before 2.6.0."""
    parsed = parse_version(version)
    if parsed is None:
        return GENERATIONS
    found: list[Generation] = []
    for generation in GENERATIONS:
        if parsed.is_before(*generation.since):
            continue
        found.append(generation)
        if not _may_be_older(parsed, generation):
            break
    return tuple(found)


def knows(version: str | None, key: str) -> bool:
    """Whether a version reads this param, as far as anybody can tell."""
    return any(key in generation.params for generation in generations_of(version))


def has_function_chains(version: str | None) -> bool:
    """Whether a version may take the FunctionChain form: pymilvus and Milvus know it from 3.0 on."""
    parsed = parse_version(version)
    return parsed is None or not parsed.is_before(3, 0, 0)


def _may_be_older(version: Version, generation: Generation) -> bool:
    """Whether a version without a patch may also be of an older generation: `2.6` may be 2.6.0."""
    major, minor, patch = generation.since
    return version.patch is None and (version.major, version.minor) == (major, minor) and patch > 0
