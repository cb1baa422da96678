"""Deployment and engine files of one revision, always made from its stored ControllerRevision."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.resources.render import render

# The number that means no deadline: only the startup probe decides when loading a model took too long.
NO_PROGRESS_DEADLINE: Final = 2**31 - 1


def build_deployment(
    stored: dict[str, Any], replicas: int, annotations: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The Deployment of the revision in the ControllerRevision `stored`; `annotations` are added to it."""
    metadata = stored["metadata"]
    name, revision = metadata["labels"][names.LABEL_RERANKER], metadata["labels"][names.LABEL_REVISION]
    deployment = render(
        "deployment.yaml.j2",
        name=metadata["name"],
        namespace=metadata["namespace"],
        labels=names.revision_labels(name, revision),
        owner=metadata["ownerReferences"][0],
        replicas=replicas,
        annotations=dict(annotations),
        progress_deadline=NO_PROGRESS_DEADLINE,
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
