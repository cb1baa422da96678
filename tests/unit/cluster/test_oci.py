import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.oci import read_archive, write_program_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "hello"
    path.write_bytes(b"\x7fELF")
    return path


def test_an_archive_is_read_as_the_image_that_was_written(tmp_path: Path, program: Path) -> None:
    archive = tmp_path / "image.tar"
    written = write_program_image(archive, "localhost/hello:1", program)
    assert written == read_archive(archive)
    assert written.name == "localhost/hello:1"


def test_equal_programs_give_equal_bytes(tmp_path: Path, program: Path) -> None:
    archives = [tmp_path / "first.tar", tmp_path / "second.tar"]
    for archive in archives:
        write_program_image(archive, "localhost/hello:1", program)
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_the_image_starts_its_program(tmp_path: Path, program: Path) -> None:
    archive = tmp_path / "image.tar"
    write_program_image(archive, "localhost/hello:1", program)
    with tarfile.open(archive) as tar:
        blobs = {member.name: tar.extractfile(member) for member in tar}
        contents = [blob.read() for name, blob in blobs.items() if blob and name.startswith("blobs/")]
    configs = [json.loads(blob) for blob in contents if b'"Entrypoint"' in blob]
    assert [["/hello"]] == [config["config"]["Entrypoint"] for config in configs]


def test_an_archive_written_by_buildah_carries_its_name_elsewhere(tmp_path: Path) -> None:
    entry: dict[str, object] = {
        "digest": "sha256:1",
        "annotations": {"org.opencontainers.image.ref.name": "localhost/engine:2"},
    }
    assert read_archive(archive_with_index(tmp_path, [entry])).name == "localhost/engine:2"


@pytest.mark.parametrize(
    "entries",
    [[], [{"digest": "sha256:1"}], [{"digest": "sha256:1", "annotations": {}}] * 2],
    ids=["no image", "no name", "two images"],
)
def test_an_archive_without_one_named_image_is_refused(tmp_path: Path, entries: list[dict[str, object]]) -> None:
    with pytest.raises(ClusterError, match="must hold one image named localhost/NAME:TAG"):
        read_archive(archive_with_index(tmp_path, entries))


def test_a_file_that_is_no_archive_is_refused(program: Path) -> None:
    with pytest.raises(ClusterError, match="is not an OCI image archive"):
        read_archive(program)


def archive_with_index(folder: Path, entries: list[dict[str, object]]) -> Path:
    index = folder / "index.json"
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(index, "index.json")
    return archive
