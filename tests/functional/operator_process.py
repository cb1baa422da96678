"""The operator as a process of its own, against a real API server."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

# Nothing here speaks TLS; without this every request would read all certificate authorities first.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class OperatorProcess:
    """`rerank-operator run`; started on entering, stopped with SIGTERM on leaving."""

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self._port = _free_port()
        self._log = log
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(log.parent),
            "KUBECONFIG": str(kubeconfig),
            "RERANK_OPERATOR_HEALTH_PORT": str(self._port),
            "RERANK_OPERATOR_LOG_FORMAT": "text",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running operator."""
        assert self._process is not None
        return self._process.pid

    @property
    def log_text(self) -> str:
        """Everything that all runs have logged."""
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Start and wait until it is healthy, which means that it has read the API server once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rerank_operator", "run"],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the operator did not become healthy:\n{self.log_text[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """SIGTERM, as a kubelet would; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL: nothing of what it was doing is finished."""
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        return self._get("/metrics").text

    def _is_healthy(self) -> bool:
        try:
            return self._get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self._port}{path}", trust_env=False, verify=_NO_AUTHORITIES)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill() if kind else self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
