"""The PodDisruptionBudget of the active revision."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.render import owner_reference, render


def build_disruption_budget(reranker: RerankService, owner: dict[str, Any], active: str) -> dict[str, Any]:
    """A budget that lets node drains take one pod of revision `active` at a time.

    It selects one revision only. A candidate that loads is not ready: counted in, it would use up what the budget
    allows, and every node drain would wait for as long as the candidate loads.
    """
    name = reranker.metadata.name
    return render(
        "disruption.yaml.j2",
        name=names.disruption_budget_name(name),
        namespace=reranker.metadata.namespace,
        labels=names.child_labels(name),
        owner=owner_reference(owner),
        selector=names.revision_selector(name, active),
    )
