"""Deployment and engine files of one revision, always made from its stored ControllerRevision."""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.resources.pod import STARTUP_SECONDS
from rerank_operator.resources.render import render

# Pulling the image comes before the startup probe's time; give it half an hour.
PROGRESS_DEADLINE_SECONDS: Final = STARTUP_SECONDS + 1800


def build_deployment(stored: dict[str, Any], replicas: int) -> dict[str, Any]:
    """The Deployment of the revision in the ControllerRevision `stored`."""
    metadata = stored["metadata"]
    name, revision = metadata["labels"][names.LABEL_RERANKER], metadata["labels"][names.LABEL_REVISION]
    deployment = render(
        "deployment.yaml.j2",
        name=metadata["name"],
        namespace=metadata["namespace"],
        labels=names.revision_labels(name, revision),
        owner=metadata["ownerReferences"][0],
        replicas=replicas,
        progress_deadline=PROGRESS_DEADLINE_SECONDS,
        selector=names.revision_selector(name, revision),
    )
    deployment["spec"]["template"] = stored["data"]["template"]
    return deployment


def build_files_config_map(stored: dict[str, Any]) -> dict[str, Any]:
    """The ConfigMap with the files that run inside the pods of a revision."""
    metadata = stored["metadata"]
    name, revision = metadata["labels"][names.LABEL_RERANKER], metadata["labels"][names.LABEL_REVISION]
    config_map = render(
        "files.yaml.j2",
        name=metadata["name"],
        namespace=metadata["namespace"],
        labels={**names.revision_labels(name, revision), names.LABEL_ROLE: names.ROLE_FILES},
        owner=metadata["ownerReferences"][0],
    )
    config_map["data"] = stored["data"]["files"]
    return config_map
