import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cluster import network
from tests.cluster.images import COREDNS_IMAGE, PAUSE_IMAGE
from tests.cluster.node_config import NodeFolders, rendered_files

_READERS: dict[str, Callable[[str], object]] = {
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".toml": tomllib.loads,
    ".conflist": json.loads,
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return rendered_files(NodeFolders(tmp_path / "cluster", tmp_path / "containerd"))


def test_no_placeholder_is_left(files: dict[str, str]) -> None:
    assert [] == [name for name, text in files.items() if "$" in text]


def test_every_file_can_be_read_by_its_program(files: dict[str, str]) -> None:
    read = [name for name, text in files.items() if _READERS.get(Path(name).suffix, len)(text)]
    assert sorted(name for name in files if name != "resolv.conf") == sorted(read)


def test_pods_ask_the_address_that_coredns_gets(files: dict[str, str]) -> None:
    kubelet = yaml.safe_load(files["kubelet.yaml"])
    services = [thing for thing in yaml.safe_load_all(files["coredns.yaml"]) if thing["kind"] == "Service"]
    assert kubelet["clusterDNS"] == [services[0]["spec"]["clusterIP"]]


def test_pods_get_addresses_of_the_range_that_is_routed_to_the_node(files: dict[str, str]) -> None:
    bridge = json.loads(files["cni/10-bridge.conflist"])["plugins"][0]
    assert [[{"subnet": network.NODE_POD_RANGE}]] == bridge["ipam"]["ranges"]


def test_own_images_have_names_that_no_hub_serves() -> None:
    assert ["localhost", "localhost"] == [name.partition("/")[0] for name in (COREDNS_IMAGE, PAUSE_IMAGE)]


def test_equal_folders_give_equal_files(files: dict[str, str], tmp_path: Path) -> None:
    assert files == rendered_files(NodeFolders(tmp_path / "cluster", tmp_path / "containerd"))
