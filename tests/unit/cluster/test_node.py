import os

import pytest

from tests.cluster import namespaces, network, node
from tests.cluster.errors import ClusterError


@pytest.fixture
def a_node_of_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(namespaces, "holders", lambda: {1: "/other/cache/cluster"})


def test_the_cluster_of_another_cache_is_not_touched(
    a_node_of_another_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    monkeypatch.setattr(namespaces, "end", lambda _: touched.append("processes"))
    monkeypatch.setattr(network, "disconnect", lambda: touched.append("links"))
    with pytest.raises(ClusterError, match=r"CACHE=/other/cache python -m tests\.cluster down"):
        node.down()
    assert [] == touched


def test_the_cluster_of_another_cache_does_not_count_as_running(a_node_of_another_cache: None) -> None:
    assert node.running() is None


def test_a_user_who_is_not_root_is_told_before_anything_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="run this as root"):
        node.up()
