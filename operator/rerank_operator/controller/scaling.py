"""What keeps enough pods there: the budget for node drains, and the autoscaler. Pure."""

from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Observed
from rerank_operator.resources.autoscaler import build_autoscaler
from rerank_operator.resources.disruption import build_disruption_budget
from rerank_operator.resources.drift import is_drifted


def plan_scaling(observed: Observed) -> Plan:
    """Budget and autoscaler: the ones that are wanted, and those that no longer are."""
    wanted = [obj for obj in (_budget(observed), _autoscaler(observed)) if obj is not None]
    there = {(o["kind"], o["metadata"]["name"]): o for o in (observed.budget, *observed.autoscalers) if o is not None}
    keys = [(o["kind"], o["metadata"]["name"]) for o in wanted]
    unwanted = tuple(live for key, live in there.items() if key not in keys)
    # KEDA refuses a ScaledObject while a HorizontalPodAutoscaler has the same target: the old one goes first.
    waits = any(live in observed.autoscalers for live in unwanted)
    return Plan(
        create=() if waits else tuple(o for key, o in zip(keys, wanted, strict=True) if key not in there),
        update=tuple(o for key, o in zip(keys, wanted, strict=True) if key in there and is_drifted(o, there[key])),
        delete=unwanted,
        requeue_after=0.0 if waits else None,
    )


def lacks_keda(observed: Observed) -> bool:
    """Whether the autoscaler that the spec asks for cannot exist in this cluster."""
    scaling = observed.wanted.spec.autoscaling
    return scaling is not None and scaling.waiting_requests is not None and not observed.keda_installed


def _budget(observed: Observed) -> Object | None:
    """A budget for one pod would only keep its node from being drained."""
    if observed.active is None or observed.wanted_replicas < 2:  # noqa: PLR2004 - one can go, one stays
        return None
    return build_disruption_budget(observed.wanted, observed.resource, observed.active)


def _autoscaler(observed: Observed) -> Object | None:
    """Not while suspended: it would count pods that nobody wants."""
    spec = observed.wanted.spec
    if spec.autoscaling is None or spec.suspend or lacks_keda(observed):
        return None
    return build_autoscaler(observed.wanted, observed.resource)
