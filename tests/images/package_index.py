"""Let a build inside an image install packages the way this machine does.

A build sees neither this machine's certificates nor its settings for pip and uv. They are mounted while the
commands of the build run, so none of them is ever part of an image.
"""

import json
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CERTIFICATES_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
PIP_INSIDE = "/etc/pip.conf"
UV_INSIDE = "/etc/uv/uv.toml"

_CERTIFICATES = ("$SSL_CERT_FILE", "$PIP_CERT", "$REQUESTS_CA_BUNDLE")
_PIP_FILES = ("$PIP_CONFIG_FILE", "~/.config/pip/pip.conf", "~/.pip/pip.conf", PIP_INSIDE)
_UV_FILES = ("$UV_CONFIG_FILE", "~/.config/uv/uv.toml", UV_INSIDE)
_PIP_OPTIONS = {
    "index-url": ("PIP_INDEX_URL",),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL",),
    "trusted-host": ("PIP_TRUSTED_HOST",),
}
_UV_OPTIONS = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "allow-insecure-host": ("UV_INSECURE_HOST",),
}
_UV_LISTS = ("extra-index-url", "allow-insecure-host")


def mounts(scratch: Path) -> Iterator[str]:
    """Give HOST:INSIDE:ro for each file to mount. Variables win over files, and are written to `scratch`."""
    certificates = (*_CERTIFICATES, ssl.get_default_verify_paths().cafile or CERTIFICATES_INSIDE)
    found = {
        CERTIFICATES_INSIDE: _first_file(certificates),
        PIP_INSIDE: _written(scratch / "pip.conf", pip_settings(os.environ)) or _first_file(_PIP_FILES),
        UV_INSIDE: _written(scratch / "uv.toml", uv_settings(os.environ)) or _first_file(_UV_FILES),
    }
    yield from (f"{path}:{inside}:ro" for inside, path in found.items() if path)


def pip_settings(variables: Mapping[str, str]) -> str:
    """Return the text of a pip.conf that says what the variables say, or nothing if they say nothing."""
    lines = [f"{option} = {value}" for option, value in _chosen(_PIP_OPTIONS, variables)]
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def uv_settings(variables: Mapping[str, str]) -> str:
    """Return the text of a uv.toml that says what the variables say, or nothing if they say nothing."""
    lines = []
    for option, value in _chosen(_UV_OPTIONS, variables):
        # A JSON string or list of strings is one in TOML as well.
        lines.append(f"{option} = {json.dumps(value.split() if option in _UV_LISTS else value)}\n")
    return "".join(lines)


def _chosen(options: Mapping[str, Sequence[str]], variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for option, names in options.items():
        value = next((variables[name] for name in names if variables.get(name)), None)
        if value:
            yield option, value


def _written(path: Path, text: str) -> Path | None:
    if not text:
        return None
    path.write_text(text)
    return path


def _first_file(candidates: Sequence[str]) -> Path | None:
    paths = (Path(os.path.expandvars(candidate)).expanduser() for candidate in candidates)
    return next((path.resolve() for path in paths if path.is_file()), None)
