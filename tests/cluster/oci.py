"""Write and read OCI image archives: the tar files that `ctr image import` takes.

The images written here hold one static program each: that needs no builder, and equal input gives equal
bytes.
"""

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEDIA = "application/vnd.oci.image"
_NAME = "io.containerd.image.name"
_REFERENCE = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class ArchivedImage:
    """The one image in an archive: its name and the digest of its manifest."""

    name: str
    digest: str


def write_program_image(archive: Path, name: str, program: Path) -> ArchivedImage:
    """Write an image called `name` (`localhost/...:tag`) whose only file and entry point is `program`."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = _json(
        {
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", config),
            "layers": [_descriptor(f"{_MEDIA}.layer.v1.tar", layer)],
        }
    )
    entry = _descriptor(f"{_MEDIA}.manifest.v1+json", manifest)
    entry["annotations"] = {_NAME: name, _REFERENCE: name.rpartition(":")[2]}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
    }
    files |= {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    archive.write_bytes(_tar(files, mode=0o644))
    return ArchivedImage(name, _digest(manifest))


def read_archive(archive: Path) -> ArchivedImage:
    """Return which image an archive holds.

    Raises ClusterError when it is no OCI archive or does not hold exactly one named image.
    """
    try:
        with tarfile.open(archive) as tar:
            index = json.load(tar.extractfile("index.json") or io.BytesIO())
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ClusterError(f"{archive} is not an OCI image archive ({error}): write it with oci-archive:") from error
    entries = index["manifests"]
    names = [_full_name(entry) for entry in entries]
    if len(entries) != 1 or "/" not in names[0]:
        raise ClusterError(f"{archive} must hold one image named localhost/NAME:TAG, but holds {names}")
    return ArchivedImage(names[0], entries[0]["digest"])


def _full_name(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations", {})
    return str(annotations.get(_NAME) or annotations.get(_REFERENCE) or "")


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
