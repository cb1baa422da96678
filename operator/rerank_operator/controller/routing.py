"""The way from a host name to the Service. Pure."""

from typing import Final

from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.values import Observed
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.route import build_route

# No event tells when the Gateway API was installed.
LOOK_FOR_GATEWAY_SECONDS: Final = 30.0


def plan_route(observed: Observed) -> Plan:
    """The HTTPRoute or the Ingress, and what is no longer wanted."""
    wanted = build_route(observed.wanted, observed.resource)
    there = next((live for live in observed.routes if wanted is not None and live["kind"] == wanted["kind"]), None)
    unwanted = tuple(live for live in observed.routes if live is not there)
    if wanted is None:
        return Plan(delete=unwanted)
    if there is not None:
        return Plan(update=(wanted,) if is_drifted(wanted, there) else (), delete=unwanted)
    if lacks_gateway_api(observed):
        return Plan(delete=unwanted, requeue_after=LOOK_FOR_GATEWAY_SECONDS)
    return Plan(create=(wanted,), delete=unwanted)


def lacks_gateway_api(observed: Observed) -> bool:
    """Whether the HTTPRoute that the spec asks for cannot exist in this cluster."""
    route = observed.wanted.spec.route
    return route is not None and route.gateway is not None and not observed.gateway_api_installed
