"""Which archives of images are kept."""

import os
from pathlib import Path

from tests.images.dockerfile import delete_old_archives


def test_only_the_archives_used_last_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "second", "third", "oldest")):
        archive = tmp_path / f"rerank-operator-{name}.tar"
        archive.touch()
        os.utime(archive, (1000 - age, 1000 - age))
    others = {"python-3.11-abc.tar", "rerank-apps-abc.tar"}
    for name in others:
        tmp_path.joinpath(name).touch()
    delete_old_archives("rerank-operator", tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert {"rerank-operator-newest.tar", "rerank-operator-second.tar", *others} == kept
