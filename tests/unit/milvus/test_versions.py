import pytest

from rerank_operator.milvus.versions import (
    Version,
    generations_of,
    has_function_chains,
    is_lite,
    is_too_old,
    knows,
    parse_version,
)

UNKNOWN = [None, "", "latest", "master-20260807-abc", "20260807", "milvus_lite-3.2.2"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.6.6", Version(2, 6, 6)),
        ("v2.6.6", Version(2, 6, 6)),
        (" 2.6.12\n", Version(2, 6, 12)),
        ("v2.6.0-rc1", Version(2, 6, 0)),
        ("2.5.4-123-gabc", Version(2, 5, 4)),
        ("v2.6.x", Version(2, 6)),
        ("2.6-20250806-abcdef", Version(2, 6)),
        ("3.0", Version(3, 0)),
        ("3.0-dev", Version(3, 0)),
        ("3.0.0-beta.1+build", Version(3, 0, 0)),
    ],
)
def test_a_version_is_read_with_and_without_a_patch_a_v_and_a_suffix(text: str, version: Version) -> None:
    assert version == parse_version(text)


@pytest.mark.parametrize("text", [*UNKNOWN, "2", "2.", "v", "two.six", "2.1234567"])
def test_what_cannot_be_read_is_unknown(text: str | None) -> None:
    assert parse_version(text) is None


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.6.0", ["2.6.0"]),
        ("2.6.1", ["2.6.1"]),
        ("2.6.17", ["2.6.1"]),
        ("2.7", ["2.6.1"]),
        ("2.6", ["2.6.1", "2.6.0"]),
        ("3.0", ["3.0"]),
        ("3.0.0", ["3.0"]),
        ("4.1.2", ["3.0"]),
        ("2.5.14", []),
        ("1.1", []),
        *((version, ["3.0", "2.6.1", "2.6.0"]) for version in UNKNOWN),
    ],
)
def test_a_version_belongs_to_a_generation_and_an_unknown_one_to_each(version: str | None, names: list[str]) -> None:
    assert names == [generation.name for generation in generations_of(version)]


@pytest.mark.parametrize(
    ("version", "without_a_key", "with_a_key"),
    [
        ("2.5.14", True, True),
        ("v2.3.5-lite-like", True, True),
        ("2.6.0", False, True),
        ("v2.6.0-rc1", False, True),
        ("2.6", False, False),
        ("2.6.1", False, False),
        ("3.0-dev", False, False),
        *((version, False, False) for version in UNKNOWN),
    ],
)
def test_only_a_version_that_cannot_rerank_for_sure_is_too_old(
    version: str | None, without_a_key: bool, with_a_key: bool
) -> None:
    assert (without_a_key, with_a_key) == (is_too_old(version, needs_key=False), is_too_old(version, needs_key=True))


@pytest.mark.parametrize(
    ("key", "known_to"),
    [
        ("endpoint", ["2.6.0", "2.6.1", "3.0"]),
        ("max_batch", ["2.6.0"]),
        ("max_client_batch_size", ["2.6.1", "3.0"]),
        ("credential", ["2.6.1", "3.0"]),
        ("timeout_ms", ["3.0"]),
        ("maxBatch", []),
    ],
)
def test_a_key_is_known_to_the_versions_whose_provider_reads_it(key: str, known_to: list[str]) -> None:
    assert known_to == [version for version in ("2.5.14", "2.6.0", "2.6.1", "3.0") if knows(version, key)]


@pytest.mark.parametrize("version", UNKNOWN)
def test_an_unknown_version_may_know_whatever_any_version_knows(version: str | None) -> None:
    assert [True, True, True, False] == [knows(version, key) for key in ("max_batch", "credential", "timeout_ms", "x")]


def test_function_chains_came_with_3() -> None:
    assert [False, False, True, True] == [
        has_function_chains(version) for version in ("2.5", "2.6.17", "3.0-dev", None)
    ]


def test_milvus_lite_tells_its_name() -> None:
    assert [True, False, False] == [is_lite(version) for version in ("milvus_lite-3.2.2", "2.6.6", None)]
