"""What the kubelet and the container runtime say of a pod that does not start (kubelet 1.36, containerd)."""

import re
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.engine_words import clip, read_last_words

PULL_REASONS: Final = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
}
CREATE_REASONS: Final = {"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"}
# Events of a pod that waits for its volumes or its network, as long as nothing newer is said.
STUCK_EVENTS: Final = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"}

_CREDENTIALS: Final = re.compile(
    r"401 Unauthorized|403 Forbidden|authorization failed|no basic auth|access denied|requires? authentication",
    re.IGNORECASE,
)
_ABSENT: Final = re.compile(r"\bnot found\b|NotFound|manifest unknown|not present with pull policy", re.IGNORECASE)
_NETWORK: Final = re.compile(
    r"no such host|i/o timeout|connection refused|TLS handshake|x509:|network is unreachable|deadline exceeded|"
    r"connection reset|server misbehaving|50[234] ",
    re.IGNORECASE,
)
_MISSING_OBJECT: Final = re.compile(r'(secret|configmap) "([^"]+)" not found')
# Numbers that differ from one try to the next.
_TRIES: Final = re.compile(r"\d+m?\d*\.?\d*s\b|attempt \d+")


def read_pull(reason: str, message: str) -> tuple[Reason, str]:
    """Why an image is not there: ErrImagePull and ImagePullBackOff, which alternate, read alike."""
    cause = message.rsplit("ErrImagePull: ", 1)[-1] or reason
    said = f"The kubelet says: {clip(cause)}"
    for pattern, sentence in (
        (_CREDENTIALS, "The registry wants other credentials"),
        (_NETWORK, "The registry cannot be reached"),
        (_ABSENT, "There is no such image"),
    ):
        if pattern.search(cause):
            return Reason.IMAGE_PULL_FAILED, f"{sentence}. {said}"
    if reason == "InvalidImageName":
        return Reason.IMAGE_PULL_FAILED, f"That is no name of an image. {said}"
    return Reason.IMAGE_PULL_FAILED, said


def read_config_error(message: str) -> tuple[Reason, str]:
    """What a container refers to and is not there: a Secret, a key in it, a ConfigMap."""
    if "couldn't find key" in message:
        return Reason.SECRET_KEY_MISSING, f"The kubelet says: {message}"
    if missing := _MISSING_OBJECT.search(message):
        kind = Reason.SECRET_MISSING if missing[1] == "secret" else Reason.POD_REJECTED
        return kind, f"The kubelet says: {message}"
    return Reason.POD_REJECTED, f"The kubelet says: {clip(message)}"


def read_create_error(message: str) -> tuple[Reason, str]:
    """Why a container could not be made or started: the GPU toolkit speaks here too."""
    said = f"The container runtime says: {clip(message)}"
    if read := read_last_words(message):
        return read[0], said
    if "nvidia-container-cli" in message or "nvidia-container-runtime" in message:
        return Reason.ACCELERATOR_MISSING, f"The node has no working NVIDIA driver for containers. {said}"
    if "executable file not found" in message or "no such file or directory" in message:
        return Reason.BAD_ENGINE_ARGUMENT, f"The image of spec.engine.image has no vLLM to start. {said}"
    return Reason.CRASH_LOOPING, said


def read_eviction(message: str) -> tuple[Reason, str]:
    """What the node ran short of."""
    return Reason.EVICTED, f"The kubelet says: {clip(message or 'the pod was evicted')}"


def read_event(reason: str, message: str) -> tuple[Reason, str]:
    """Why a pod waits for its volumes or its network."""
    said = f"The kubelet says: {clip(_TRIES.sub('…', message))}"
    if missing := _MISSING_OBJECT.search(message):
        return (Reason.SECRET_MISSING if missing[1] == "secret" else Reason.POD_REJECTED), said
    if "references non-existent secret key" in message or "references non-existent config key" in message:
        return Reason.SECRET_KEY_MISSING, said
    if 'persistentvolumeclaim "' in message and "not found" in message:
        return Reason.VOLUME_UNBOUND, said
    return (Reason.POD_REJECTED if reason == "FailedCreatePodSandBox" else Reason.VOLUME_MOUNT_FAILED), said
