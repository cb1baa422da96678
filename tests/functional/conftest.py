"""A real API server for all functional tests, with the CRD that the operator ships."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.functional.world import World, running_world


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane for the whole run; whoever stops or pauses it starts one of their own instead."""
    with ControlPlane(manifests=[CRD_FILE]) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that no other test uses."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A namespace with a running operator, puppet kubelets and engine doubles."""
    with running_world(control_plane, tmp_path) as running:
        yield running
