"""Ask an API server: by kubectl, and by plain requests where waiting must be cheap."""

import errno
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from tests.cluster.binaries import binary
from tests.cluster.errors import KubectlError
from tests.cluster.pki import Certificate

_ANSWER_SECONDS = 2.0
# Linux said "Bad address" once to a start from one of several threads. Nothing had run: to start again is safe.
_STARTS = 3


def run_kubectl(kubeconfig: Path, *arguments: str, stdin: str = "") -> str:
    """Run kubectl with a kubeconfig and return what it prints.

    Raises KubectlError with its error output.
    """
    command = [str(binary("kubectl")), f"--kubeconfig={kubeconfig}", *arguments]
    done = _run(command, stdin)
    if done.returncode != 0:
        raise KubectlError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _run(command: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
    for started in range(1, _STARTS + 1):
        try:
            return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        except OSError as error:
            if error.errno != errno.EFAULT or started == _STARTS:
                raise
    raise AssertionError(command)


def tls_context(authority: Path, client: Certificate) -> ssl.SSLContext:
    """Return the TLS settings of a client that trusts `authority` and shows its own certificate."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(client.certificate, client.key)
    return context


def get(url: str, tls: ssl.SSLContext | None = None) -> bytes | None:
    """Return the body of a successful answer, or None for anything else, no connection included."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS, context=tls) as answer:  # noqa: S310 - http(s) only
            return bytes(answer.read())
    except OSError:
        return None


def get_object(url: str, tls: ssl.SSLContext) -> dict[str, Any] | None:
    """Return a Kubernetes object, or None when it cannot be had."""
    body = get(url, tls)
    return None if body is None else dict(json.loads(body))
