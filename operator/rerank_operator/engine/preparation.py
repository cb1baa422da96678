"""What the init containers of a model pod are told: which files to fetch, and what to expect in them."""

import json
from typing import Any, Final

from rerank_operator.api.v1alpha1 import RerankServiceSpec
from rerank_operator.catalog.entry import Entry, Kind, Level
from rerank_operator.catalog.families import families
from rerank_operator.engine import command, devices

REQUEST_FILE: Final = "model.json"
FETCH_FILE: Final = "fetch_model.py"
CHECK_FILE: Final = "check_model.py"
# Their config.json was not read by whoever wrote the entry.
_GUESSED: Final = {Level.CONFIG_RESOLVES, Level.UNVERIFIED}


def build_request(spec: RerankServiceSpec, entry: Entry) -> str:
    """The JSON that `fetch_model.py` and `check_model.py` read; its fields are told there."""
    request: dict[str, Any] = {
        "name": spec.model.name,
        "revision": command.model_revision(spec, entry) or "main",
        "folder": command.model_folder(spec, entry),
        "entry": entry.id,
        "architectures": _expected(spec, entry),
        "overrides": command.overrides(spec, entry),
        "families": None if entry.is_known else [f.model_dump(mode="json", by_alias=True) for f in families()],
        "maxLength": command.max_length(spec, entry),
        "trustRemoteCode": spec.model.trust_remote_code,
        "gpu": devices.takes_gpu_memory(spec) and not command.sets_memory(spec),
    }
    return json.dumps(request, indent=1)


def _expected(spec: RerankServiceSpec, entry: Entry) -> list[str]:
    """Architectures that config.json may say; empty where the entry does not know, or the user knows better."""
    is_guessed = entry.verified is None or entry.verified.level in _GUESSED or entry.kind is Kind.LATE_INTERACTION
    return [] if is_guessed or command.gives(spec.engine.args, "--hf-overrides") else list(entry.architectures)


def fetch_command() -> list[str]:
    """What the init container runs that fetches the model."""
    return ["python3", "-I", f"{command.FILES_MOUNT}/{FETCH_FILE}", f"{command.FILES_MOUNT}/{REQUEST_FILE}"]


def check_command() -> list[str]:
    """What the init container runs that reads the model's files."""
    return ["python3", "-I", "-S", f"{command.FILES_MOUNT}/{CHECK_FILE}", f"{command.FILES_MOUNT}/{REQUEST_FILE}"]


def fetch_environment(spec: RerankServiceSpec) -> list[dict[str, Any]]:
    """Environment of the init container that fetches; the user's own entries replace ours, as in the engine."""
    ours = [{"name": "HOME", "value": command.HOME}, {"name": "HF_HOME", "value": f"{command.HOME}/huggingface"}]
    reached = (*ours, *command.hub_environment(spec), *command.network_environment(spec))
    env = {variable["name"]: variable for variable in reached}
    for variable in spec.engine.env:
        env[variable.name] = variable.model_dump(exclude_none=True)
    return list(env.values())
