"""Which release of vLLM an image's tag names, and what that release knows."""

import pytest

from rerank_operator.engine.versions import OLDEST, SINCE, Version, knows, parse_version, version_of

IMAGE = "vllm/vllm-openai"
FLAG = "--chat-template"
FIRST = SINCE[FLAG]


def release_before(version: Version) -> Version:
    if version.patch:
        return version._replace(patch=version.patch - 1)
    return version._replace(minor=version.minor - 1)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.14.1", Version(0, 14, 1)),
        ("v0.14.1", Version(0, 14, 1)),
        ("0.14", Version(0, 14, 0)),
        ("0.11.0rc1", Version(0, 11, 0)),
        ("0.10.1.1", Version(0, 10, 1)),
    ],
)
def test_a_release_is_read(text: str, version: Version) -> None:
    assert version == parse_version(text)


@pytest.mark.parametrize("text", ["", "latest", "14", "0.14.", "0.1.2.3.4", "release 0.14.1"])
def test_anything_else_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a release of vLLM such as 0\.14\.1"):
        parse_version(text)


def test_releases_compare_by_their_numbers() -> None:
    versions = [parse_version(text) for text in ("0.33.0", "0.9.2", "0.10.2", "0.10", "1.0.0")]
    assert [(0, 9, 2), (0, 10, 0), (0, 10, 2), (0, 33, 0), (1, 0, 0)] == sorted(versions)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        (f"{IMAGE}:v0.32.0", Version(0, 32, 0)),
        (f"{IMAGE}:v0.32.0-x86_64", Version(0, 32, 0)),
        (f"{IMAGE}:v0.10.1.1", Version(0, 10, 1)),
        (f"{IMAGE}:0.14", Version(0, 14, 0)),
        (f"registry.example:5000/{IMAGE}:v0.24.0@sha256:{'0' * 64}", Version(0, 24, 0)),
        ("rocm/vllm:rocm7.0_vllm_0.10.2_20251006", Version(0, 10, 2)),
        ("vllm-openai:v0.24.0", Version(0, 24, 0)),
    ],
)
def test_a_tag_names_the_release(image: str, version: Version) -> None:
    assert version == version_of(image)


@pytest.mark.parametrize(
    "image",
    [
        "",
        IMAGE,
        f"{IMAGE}:latest",
        f"{IMAGE}:nightly-0123456789abcdef",
        f"{IMAGE}@sha256:{'0' * 64}",
        "registry.example:5000/vllm-openai",
        "registry-1.2.3:5000/vllm-openai",
        "vllm-0.14.1/vllm-openai:latest",
        "example/engine:team-7",
    ],
)
def test_other_tags_name_none(image: str) -> None:
    assert version_of(image) is None


def test_an_option_is_known_from_its_first_release_on() -> None:
    versions = [release_before(FIRST), FIRST, Version(99, 0)]
    assert [False, True, True] == [knows(FLAG, version) for version in versions]


def test_a_template_for_scores_is_read_since_0_14() -> None:
    assert [False, True] == [knows("--chat-template", Version(0, minor)) for minor in (13, 14)]


def test_an_option_without_a_first_release_is_known_to_the_oldest() -> None:
    assert "--runner" not in SINCE
    assert knows("--runner", OLDEST)


@pytest.mark.parametrize("version", [None, release_before(OLDEST)])
def test_an_image_of_unknown_content_counts_as_a_current_one(version: Version | None) -> None:
    assert knows(FLAG, version)


def test_no_option_begins_before_the_oldest_release() -> None:
    assert [] == [flag for flag, first in SINCE.items() if first <= OLDEST]
