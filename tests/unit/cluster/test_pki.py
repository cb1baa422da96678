import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cluster.errors import ClusterError
from tests.cluster.pki import Authority, Certificate


def test_a_kubeconfig_stands_alone_and_is_for_its_owner_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    path = tmp_path / "new" / "kubeconfig"
    authority.write_kubeconfig(path, "https://127.0.0.1:1", authority.issue_client("admin", "me", "mine"))
    config = yaml.safe_load(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(tmp_path) not in path.read_text()
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


def test_a_certificate_is_trusted_by_those_who_trust_its_authority(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    issued = authority.issue_server("server", "/CN=server", ["localhost", "127.0.0.1"])
    assert verifies(authority, issued, "127.0.0.1")
    assert not verifies(authority, issued, "127.0.0.2")
    assert not verifies(stranger, issued, "127.0.0.1")


def verifies(authority: Authority, issued: Certificate, address: str) -> bool:
    trust = ["-CAfile", str(authority.certificate), "-verify_ip", address, "-purpose", "sslserver"]
    command = ["openssl", "verify", *trust, str(issued.certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_subject_that_openssl_refuses_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="failed to make certificate 'bad'"):
        Authority(tmp_path).issue_server("bad", "no slash", ["localhost"])
