"""The image of the documented applications: named as the manifests name it, made from what its Dockerfile copies."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images.apps import FOLDER, recipe

MANIFESTS = ("deployment.yaml", "milvus-lite.yaml")


def deployments() -> list[dict[str, Any]]:
    objects = [obj for name in MANIFESTS for obj in yaml.safe_load_all(FOLDER.joinpath(name).read_text("utf-8"))]
    return [obj for obj in objects if obj["kind"] == "Deployment"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "apps")


def test_the_documented_manifests_name_this_image() -> None:
    images = {
        container["image"] for obj in deployments() for container in obj["spec"]["template"]["spec"]["containers"]
    }
    assert {recipe().reference} == images


def test_what_the_dockerfile_copies_is_what_the_image_is_made_from() -> None:
    lines = re.findall(r"^COPY +(?!--from)(.+) +\S+$", FOLDER.joinpath("Dockerfile").read_text("utf-8"), re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert {"Dockerfile", *copied} == set(recipe().contents)


@pytest.mark.parametrize("name", recipe().contents)
def test_a_changed_source_is_another_image_under_the_same_name(folder: Path, name: str) -> None:
    before = recipe(folder)
    key = before.key
    folder.joinpath(name).write_text("changed\n")
    assert key != recipe(folder).key
    assert before.reference == recipe(folder).reference


def test_the_manifests_are_no_part_of_the_image(folder: Path) -> None:
    before = recipe(folder).key
    for name in MANIFESTS:
        folder.joinpath(name).write_text("changed\n")
    assert before == recipe(folder).key
