"""The archive writer: what a container runtime checks before it takes an image."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.oci import read_archive
from tests.images.oci import ArchiveWriter, ImageConfig, open_layers

NAME = "localhost/sample:1"
CONFIG = ImageConfig(entrypoint=("vllm", "serve"), command=("--help",), path="/opt/vllm/bin")


def layer(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


LOWER, UPPER = layer("etc/os-release", b"debian\n"), layer("opt/tool", b"x" * 3000)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write(tmp_path / "image.tar", LOWER, UPPER)


def write(path: Path, *layers: bytes) -> Path:
    with ArchiveWriter(path) as writer:
        for content in layers:
            writer.add_layer(io.BytesIO(content))
        writer.finish(NAME, CONFIG)
    return path


def read(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def blob(archive: Path, descriptor: dict[str, Any]) -> bytes:
    return read(archive, f"blobs/{descriptor['digest'].replace(':', '/')}")


def manifest(archive: Path) -> dict[str, Any]:
    index = json.loads(read(archive, "index.json"))
    found: dict[str, Any] = json.loads(blob(archive, index["manifests"][0]))
    return found


def configuration(archive: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(archive, manifest(archive)["config"]))
    return found


def test_every_blob_is_named_by_the_digest_of_its_content(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = [name for name in tar.getnames() if name.startswith("blobs/")]
    assert 4 == len(names)
    for name in names:
        assert f"blobs/sha256/{hashlib.sha256(read(archive, name)).hexdigest()}" == name


def test_a_descriptor_has_the_size_of_its_blob(archive: Path) -> None:
    found = manifest(archive)
    for descriptor in (found["config"], *found["layers"]):
        assert len(blob(archive, descriptor)) == descriptor["size"]


def test_layers_come_in_order_and_unchanged(archive: Path) -> None:
    assert [LOWER, UPPER] == [blob(archive, descriptor) for descriptor in manifest(archive)["layers"]]


def test_the_diff_ids_are_the_digests_of_the_uncompressed_layers(archive: Path) -> None:
    expected = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (LOWER, UPPER)]
    assert expected == configuration(archive)["rootfs"]["diff_ids"]


def test_the_media_type_says_that_layers_are_not_compressed(archive: Path) -> None:
    types = {descriptor["mediaType"] for descriptor in manifest(archive)["layers"]}
    assert {"application/vnd.oci.image.layer.v1.tar"} == types


def test_the_history_has_one_entry_for_each_layer(archive: Path) -> None:
    assert 2 == len(configuration(archive)["history"])


def test_the_config_says_what_runs_and_where_programs_are(archive: Path) -> None:
    config = configuration(archive)["config"]
    assert ["vllm", "serve"] == config["Entrypoint"]
    assert ["--help"] == config["Cmd"]
    assert config["Env"][0].startswith("PATH=/opt/vllm/bin:/usr/local/sbin:")


def test_the_cluster_finds_name_and_digest_in_the_archive(archive: Path) -> None:
    index = json.loads(read(archive, "index.json"))
    found = read_archive(archive)
    assert NAME == found.name
    assert index["manifests"][0]["digest"] == found.digest


def test_finishing_returns_the_digest_of_the_manifest(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "image.tar") as writer:
        writer.add_layer(io.BytesIO(LOWER))
        digest = writer.finish(NAME, CONFIG)
    assert read_archive(tmp_path / "image.tar").digest == digest


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a.tar", LOWER, UPPER).read_bytes() == write(tmp_path / "b.tar", LOWER, UPPER).read_bytes()


def test_the_layers_of_an_archive_can_be_put_into_another(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar"
    with ArchiveWriter(copy) as writer, open_layers(archive) as layers:
        for content in layers:
            writer.add_layer(content)
        writer.finish(NAME, CONFIG)
    assert archive.read_bytes() == copy.read_bytes()


def test_a_configuration_of_another_builder_is_kept_byte_by_byte(tmp_path: Path) -> None:
    foreign = b'{"architecture": "amd64",  "os": "linux"}\n'
    archive = tmp_path / "image.tar"
    with ArchiveWriter(archive) as writer:
        writer.add_layer(io.BytesIO(LOWER))
        writer.finish_with(NAME, foreign)
    assert foreign == blob(archive, manifest(archive)["config"])


def test_a_layer_that_is_not_a_multiple_of_a_tar_block_is_padded_outside_of_it(tmp_path: Path) -> None:
    odd = gzip.compress(LOWER, mtime=0)
    assert odd == blob(write(tmp_path / "image.tar", odd), manifest(tmp_path / "image.tar")["layers"][0])
