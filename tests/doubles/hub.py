"""A stand-in for the hub that models are downloaded from, on loopback: it serves folders, and refuses like the hub.

The client of the hub decides by status, the header X-Error-Code and the words of X-Error-Message; these are the
hub's own. A download can be broken off in the middle of a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOKEN = "hf_right"  # noqa: S105 - a made-up token
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = frozenset({"main", COMMIT})
_PATH = re.compile(r"(?P<api>/api/models)?/(?P<name>[^/]+/[^/]+)(?:/(?P<verb>resolve|revision|tree)/(?P<rest>.*))?")


class Refusal(NamedTuple):
    """A status, the hub's code for programs, and its sentence for people; each may be empty but the status."""

    status: HTTPStatus
    code: str = ""
    message: str = ""


UNKNOWN = Refusal(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
# To somebody without a token what is missing and what is private look alike.
UNKNOWN_TO_STRANGERS = UNKNOWN._replace(status=HTTPStatus.UNAUTHORIZED)
NO_SUCH_REVISION = Refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound", "Invalid rev id")
NO_SUCH_FILE = Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
GATED_TO_STRANGERS = Refusal(
    HTTPStatus.UNAUTHORIZED, "GatedRepo", "Access to this model is restricted. You must be authenticated to access it."
)
GATED = Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", "Access to this model is restricted and you are not authorized.")
WRONG_TOKEN = Refusal(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
BUSY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE)
TOO_MANY_REQUESTS = Refusal(HTTPStatus.TOO_MANY_REQUESTS)


class Published(NamedTuple):
    """A model's folder and who may see it: a private one who has a token.

    Of a gated one everybody may read which files there are, and nobody yet the files. Files longer than
    `breaks_off_at` bytes break off there, each time. A mirror may tell no `sizes` of files.
    """

    folder: Path
    private: bool = False
    gated: bool = False
    breaks_off_at: int | None = None
    sizes: bool = True


class ModelHub:
    """A hub from the beginning of a `with` block to its end, with models and refusals by name.

    It knows one token, and turns away whoever comes with another. `asked` are the method and path of every request,
    in order. `at` is the address and port to listen at.
    """

    def __init__(
        self, models: Mapping[str, Published | Refusal], token: str = TOKEN, at: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self.models = models
        self.token = token
        self.asked: list[str] = []
        self.refusals = itertools.count(1)
        self._server = ThreadingHTTPServer(at, lambda *args: _Handler(self, *args))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="hub", daemon=True)

    @property
    def url(self) -> str:
        """The address, as it belongs into HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: ModelHub, *args: Any) -> None:
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *_: Any) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")

    def do_GET(self) -> None:
        match = _PATH.fullmatch(self.path.partition("?")[0])
        answer = self._find(match["name"]) if match else UNKNOWN
        if match is None or isinstance(answer, Refusal):
            self._refuse(answer if isinstance(answer, Refusal) else UNKNOWN)
            return
        revision, _, file = unquote(match["rest"] or "main").partition("/")
        if revision not in REVISIONS:
            self._refuse(NO_SUCH_REVISION)
        elif match["verb"] == "resolve" and answer.gated:
            self._refuse(GATED if self.headers.get("Authorization") else GATED_TO_STRANGERS)
        elif match["verb"] == "resolve":
            self._send_file(answer, file)
        elif match["verb"] == "tree":
            self._send_json([describe(answer.folder, name) for name in files_in(answer.folder)])
        else:
            with_sizes = "blobs=" in self.path and answer.sizes
            siblings = [sibling(answer.folder, name, with_size=with_sizes) for name in files_in(answer.folder)]
            self._send_json({"id": match["name"], "sha": COMMIT, "siblings": siblings, "tags": []})

    do_HEAD = do_GET  # noqa: N815 - the name that the server calls

    def _find(self, name: str) -> Published | Refusal:
        shown = self.headers.get("Authorization")
        if shown is not None and shown != f"Bearer {self.hub.token}":
            return WRONG_TOKEN
        model = self.hub.models.get(name)
        if model is None or (isinstance(model, Published) and model.private and shown is None):
            return UNKNOWN if shown else UNKNOWN_TO_STRANGERS
        return model

    def _refuse(self, refusal: Refusal) -> None:
        body = json.dumps({"error": refusal.message}).encode()
        self.send_response(refusal.status)
        # It goes into the words of the client's error, and is another one each time.
        self.send_header("X-Request-Id", f"Root=1-{next(self.hub.refusals):08x}")
        if refusal.code:
            self.send_header("X-Error-Code", refusal.code)
        if refusal.message:
            self.send_header("X-Error-Message", refusal.message)
        self._send_body(body)

    def _send_json(self, value: Any) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self._send_body(json.dumps(value).encode())

    def _send_file(self, model: Published, name: str) -> None:
        path = model.folder / name
        if not path.is_file():
            self._refuse(NO_SUCH_FILE)
            return
        content = path.read_bytes()
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(HTTPStatus.PARTIAL_CONTENT if begin else HTTPStatus.OK)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{digest(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self._send_body(content[begin:], (model.breaks_off_at or len(content)) - begin)

    def _send_body(self, body: bytes, sent: int | None = None) -> None:
        """Announce a body, and send it whole or only its first `sent` bytes."""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if sent is None else body[: max(sent, 0)])
        if sent is not None and sent < len(body):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)


def files_in(folder: Path) -> list[str]:
    """Return the names of all files, relative to the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def describe(folder: Path, name: str) -> dict[str, Any]:
    content = (folder / name).read_bytes()
    return {"type": "file", "path": name, "size": len(content), "oid": digest(content)}


def sibling(folder: Path, name: str, *, with_size: bool) -> dict[str, Any]:
    described = describe(folder, name)
    more = {"blobId": described["oid"], "size": described["size"]} if with_size else {}
    return {"rfilename": name, **more}


def digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
