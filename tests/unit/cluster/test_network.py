import ipaddress

import pytest

from tests.cluster import network


def test_the_ranges_do_not_overlap() -> None:
    link, pods, services = (
        ipaddress.ip_network(text) for text in (network.LINK_RANGE, network.POD_RANGE, network.SERVICE_RANGE)
    )
    assert not link.overlaps(pods)
    assert not link.overlaps(services)
    assert not pods.overlaps(services)


def test_every_address_lies_in_its_range() -> None:
    link, services = ipaddress.ip_network(network.LINK_RANGE), ipaddress.ip_network(network.SERVICE_RANGE)
    assert ipaddress.ip_address(network.HOST_ADDRESS) in link
    assert ipaddress.ip_address(network.NODE_ADDRESS) in link
    assert ipaddress.ip_address(network.DNS_ADDRESS) in services
    # The API server takes the first address of the range for its own Service.
    assert services[1] == ipaddress.ip_address(network.API_SERVICE_ADDRESS)


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": network.POD_RANGE, "gateway": network.NODE_ADDRESS, "dev": network.HOST_LINK},
        {"type": "blackhole", "dst": network.POD_RANGE, "metric": 4000},
    ],
)
def test_a_route_elsewhere_or_of_the_cluster_itself_is_no_conflict(route: network.Route) -> None:
    assert [] == network.conflicting_routes([route])


@pytest.mark.parametrize("target", [network.POD_RANGE, "10.200.7.0/24", "10.0.0.0/8", "10.201.0.10"])
def test_a_foreign_route_into_a_range_is_a_conflict(target: str) -> None:
    assert [target] == network.conflicting_routes([{"dst": target, "dev": "docker0"}])
