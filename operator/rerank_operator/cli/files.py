"""What is made without a cluster, other than Kubernetes objects of a file: params, crd."""

from rerank_operator.api.crd import build_crd
from rerank_operator.cli.output import show
from rerank_operator.cli.reading import File, owner_of, read_rerankers
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.render import to_yaml
from rerank_operator.resources.revision import Facts, revision_hash


def params(file: File) -> None:
    """Print the params.json that would be published for the resources in FILE.

    Example: PROGRAM params manifests/samples/minimal.yaml
    """
    for reranker in read_rerankers(file):
        revision = revision_hash(reranker.spec)
        publication = build_publication(reranker, owner_of(reranker), Facts.of(reranker.spec), revision)
        show(publication["data"]["params.json"], "json")


def crd() -> None:
    """Print the CustomResourceDefinition.

    Example: PROGRAM crd
    """
    show(to_yaml(build_crd()), "yaml")
