"""Write an OCI image archive in one pass, and read the layers of one.

Layers are stored uncompressed, so that the digest of a layer is also its diff id and nothing is copied twice:
a layer of gigabytes goes straight from the stream into the archive while it is hashed. Only the tar header in
front of it is written last, since it holds the digest.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_MEDIA = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Image:
    """An image in an archive: the name that a pod asks for, and the file."""

    reference: str
    archive: Path


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs by default. `path` is put in front of the usual PATH."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    path: str = ""
    labels: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the `config` object of the OCI image configuration."""
        path = f"{self.path}:{_PATH}" if self.path else _PATH
        return {
            "Env": [f"PATH={path}"],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Labels": dict(self.labels or {}),
        }


@dataclass(frozen=True)
class _Blob:
    digest: str
    size: int

    def descriptor(self, kind: str) -> dict[str, Any]:
        return {"mediaType": f"{_MEDIA}.{kind}", "digest": f"sha256:{self.digest}", "size": self.size}


class ArchiveWriter:
    """An archive being written: add layers from the lowest up, then `finish` it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._layers: list[_Blob] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add_layer(self, stream: IO[bytes]) -> str:
        """Append a layer, an uncompressed tar read to the stream's end; return its digest (sha256:...)."""
        header_at = self._file.tell()
        self._file.write(bytes(tarfile.BLOCKSIZE))
        digest, size = hashlib.sha256(), 0
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            self._file.write(chunk)
            size += len(chunk)
        layer = _Blob(digest.hexdigest(), size)
        self._pad(size)
        end = self._file.tell()
        self._file.seek(header_at)
        self._file.write(_header(f"blobs/sha256/{layer.digest}", size))
        self._file.seek(end)
        self._layers.append(layer)
        return f"sha256:{layer.digest}"

    def finish(self, reference: str, config: ImageConfig) -> str:
        """Write configuration, manifest and index; return the manifest's digest.

        Equal layers and an equal config give an equal image.
        """
        configuration = {
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": config.as_json(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in self._layers]},
            # Optional by the specification, but buildah builds on no image without it.
            "history": [{"created_by": "tests.images"} for _ in self._layers],
        }
        return self.finish_with(reference, _json(configuration))

    def finish_with(self, reference: str, configuration: bytes) -> str:
        """Do what `finish` does with a configuration that another builder has written for these layers."""
        settings = self._add_blob(configuration)
        manifest = self._add_blob(
            _json(
                {
                    "schemaVersion": 2,
                    "mediaType": f"{_MEDIA}.manifest.v1+json",
                    "config": settings.descriptor("config.v1+json"),
                    "layers": [layer.descriptor("layer.v1.tar") for layer in self._layers],
                }
            )
        )
        entry = manifest.descriptor("manifest.v1+json")
        entry["annotations"] = {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference,
        }
        self._add_file("index.json", _json({"schemaVersion": 2, "manifests": [entry]}))
        self._add_file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        return f"sha256:{manifest.digest}"

    def _add_blob(self, content: bytes) -> _Blob:
        blob = _Blob(hashlib.sha256(content).hexdigest(), len(content))
        self._add_file(f"blobs/sha256/{blob.digest}", content)
        return blob

    def _add_file(self, name: str, content: bytes) -> None:
        self._file.write(_header(name, len(content)) + content)
        self._pad(len(content))

    def _pad(self, size: int) -> None:
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))


@contextmanager
def open_layers(archive: Path) -> Iterator[Iterator[IO[bytes]]]:
    """Give the layers of an archive of this module, lowest first, each as a stream that must be read in turn."""
    with tarfile.open(archive) as tar:
        manifest = _read_json(tar, _read_json(tar, "index.json")["manifests"][0])
        yield (_stream(tar, layer) for layer in manifest["layers"])


def _read_json(tar: tarfile.TarFile, what: str | dict[str, Any]) -> Any:
    stream = tar.extractfile(what) if isinstance(what, str) else _stream(tar, what)
    return json.load(stream or io.BytesIO())


def _stream(tar: tarfile.TarFile, descriptor: Mapping[str, Any]) -> IO[bytes]:
    name = descriptor["digest"].replace(":", "/", 1)
    stream = tar.extractfile(f"blobs/{name}")
    if stream is None:
        raise ValueError(f"{tar.name!r} has no content for {descriptor['digest']}: delete it and build it again")
    return stream


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    # GNU's form holds sizes above 8 GiB in one block.
    return member.tobuf(tarfile.GNU_FORMAT)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
