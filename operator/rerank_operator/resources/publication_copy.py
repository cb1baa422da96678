"""A copy of the published ConfigMap in another namespace.

No owner reference: it cannot reach into another namespace, and the garbage collector would delete the copy. Labels tell
to which reranker it belongs.
"""

from typing import Any

from rerank_operator.api import names
from rerank_operator.resources.render import render


def build_copy(publication: dict[str, Any], namespace: str) -> dict[str, Any]:
    """What `publication` says, for another namespace."""
    metadata = publication["metadata"]
    labels, annotations = metadata["labels"], metadata["annotations"]
    copy = render(
        "publication-copy.yaml.j2",
        name=metadata["name"],
        namespace=namespace,
        labels={
            **names.revision_labels(labels[names.LABEL_RERANKER], labels[names.LABEL_REVISION]),
            names.LABEL_SOURCE_NAMESPACE: metadata["namespace"],
            names.LABEL_ROLE: names.ROLE_COPY,
        },
        annotations={
            name: annotations[name]
            for name in (names.ANNOTATION_CONFIG_HASH, names.ANNOTATION_RELOADER)
            if name in annotations
        },
    )
    copy["data"] = publication["data"]
    return copy
