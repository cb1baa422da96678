"""Certificates and kubeconfigs of a cluster, made by openssl."""

import base64
import ipaddress
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.errors import ClusterError

# Clusters are made anew for every run; a year only keeps a forgotten one from failing in an odd way.
_DAYS = "365"
_REQUEST_CONFIG = "[req]\ndistinguished_name = subject\n[subject]\n"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority that lives in `folder`: its own certificate, and what it issued."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text(_REQUEST_CONFIG)
        self._own = self._request("ca", "/CN=test-cluster", "basicConstraints=critical,CA:TRUE")

    @property
    def certificate(self) -> Path:
        """Return the certificate that everybody in the cluster trusts."""
        return self._own.certificate

    @property
    def key(self) -> Path:
        """Return the key that signs; the controller manager needs it for certificate requests."""
        return self._own.key

    def issue_client(self, name: str, user: str, group: str = "") -> Certificate:
        """Issue a certificate that makes its holder `user`, a member of `group`, to the API server."""
        subject = f"/O={group}/CN={user}" if group else f"/CN={user}"
        return self._issue(name, subject, "extendedKeyUsage=clientAuth")

    def issue_server(self, name: str, subject: str, hosts: Sequence[str]) -> Certificate:
        """Issue a certificate for a server that is reached as one of `hosts`, names or addresses."""
        names = ",".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in hosts)
        return self._issue(name, subject, "extendedKeyUsage=serverAuth", f"subjectAltName={names}")

    def create_signing_key(self, name: str) -> Certificate:
        """Create a key pair that signs service account tokens; its public half is in the certificate."""
        return self._request(name, f"/CN={name}", "keyUsage=digitalSignature")

    def write_kubeconfig(self, path: Path, server: str, holder: Certificate) -> Path:
        """Write a kubeconfig for the holder of a client certificate; only the file's owner can read it."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": server, "certificate-authority-data": _encoded(self.certificate)},
                }
            ],
            "users": [
                {
                    "name": "test",
                    "user": {
                        "client-certificate-data": _encoded(holder.certificate),
                        "client-key-data": _encoded(holder.key),
                    },
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def _issue(self, name: str, subject: str, *extensions: str) -> Certificate:
        signed_by = ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        return self._request(name, subject, "basicConstraints=CA:FALSE", *extensions, signed_by=signed_by)

    def _request(self, name: str, subject: str, *extensions: str, signed_by: Sequence[str] = ()) -> Certificate:
        made = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        command = ["openssl", "req", "-x509", "-config", str(self._config), "-days", _DAYS]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject]
        command += [argument for extension in extensions for argument in ("-addext", extension)]
        command += [*signed_by, "-keyout", str(made.key), "-out", str(made.certificate)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"openssl (3.0 or newer) failed to make certificate {name!r}: {done.stderr}")
        return made


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
