import os
import shutil

import pytest

from tests.cluster import packages
from tests.cluster.errors import ClusterError

ABSENT = packages.Package("no-such-package", "no-such-program")


def test_a_program_outside_the_path_of_users_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert packages.is_there(packages.Package("libc-bin", "ldconfig"))


def test_a_package_known_by_a_file_is_found_by_that_file() -> None:
    assert packages.is_there(packages.Package("base-files", "/etc/os-release"))
    assert not packages.is_there(packages.Package("base-files", "/etc/no-such-file"))


def test_nothing_is_installed_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ())
    assert [] == packages.install()


def test_a_machine_without_apt_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", (ABSENT,))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterError, match=r"apt-get is not there.*yourself: no-such-package"):
        packages.install()


def test_a_user_who_is_not_root_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", (ABSENT,))
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"only root can install packages.*yourself: no-such-package"):
        packages.install()
