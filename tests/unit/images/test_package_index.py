"""How a build inside an image learns where this machine gets its packages."""

import configparser
import tomllib
from pathlib import Path

import pytest

from tests.images.package_index import CERTIFICATES_INSIDE, PIP_INSIDE, UV_INSIDE, mounts, pip_settings, uv_settings

INDEX = "https://packages.example/simple"
EXTRA = "https://more.example/simple"


def test_variables_of_pip_become_its_settings() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(pip_settings({"PIP_INDEX_URL": INDEX, "PIP_TRUSTED_HOST": "packages.example"}))
    assert {"index-url": INDEX, "trusted-host": "packages.example"} == dict(parser["global"])


def test_variables_of_uv_become_its_settings() -> None:
    settings = tomllib.loads(uv_settings({"UV_DEFAULT_INDEX": INDEX, "UV_EXTRA_INDEX_URL": f"{EXTRA} {INDEX}"}))
    assert {"index-url": INDEX, "extra-index-url": [EXTRA, INDEX]} == settings


def test_without_variables_there_are_no_settings() -> None:
    assert ("", "") == (pip_settings({"HOME": "/root"}), uv_settings({"PIP_INDEX_URL": ""}))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without settings, whose certificates are in one known file."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CONFIG_FILE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    certificates = tmp_path / "company.crt"
    certificates.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    return tmp_path


def mounted(scratch: Path) -> dict[str, Path]:
    parts = [mount.split(":") for mount in mounts(scratch)]
    return {inside: Path(host) for host, inside, _ in parts}


def test_the_machines_certificates_are_mounted_where_every_client_looks(bare: Path) -> None:
    assert bare / "company.crt" == mounted(bare)[CERTIFICATES_INSIDE]


def test_a_variable_wins_over_a_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    assert INDEX in mounted(bare)[PIP_INSIDE].read_text()


def test_a_persons_own_file_is_mounted_as_it_is(bare: Path) -> None:
    own = bare / ".config/uv/uv.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert own == mounted(bare)[UV_INSIDE]
