import re
from pathlib import Path

import pytest

from tests.cluster import versions
from tests.cluster.binaries import GO_TREE

_LINE = re.compile(r"^\s*(?:require )?(?P<path>[\w.\-/]+) (?P<version>v\S+)", re.MULTILINE)
_PIN = re.compile(r"^\s*(?P<path>\S+) => (?P<target>\S+) (?P<version>v\S+)$", re.MULTILINE)
_STAGED = f"v0.{versions.KUBERNETES.partition('.')[2]}"


def go_mod(module: str) -> str:
    return (GO_TREE / module / "go.mod").read_text()


def required(module: str) -> dict[str, str]:
    return {line["path"]: line["version"] for line in _LINE.finditer(go_mod(module))}


def pinned(module: str) -> dict[str, str]:
    return {pin["path"]: pin["version"] for pin in _PIN.finditer(go_mod(module))}


def built_with(module: str) -> dict[str, str]:
    return required(module) | pinned(module)


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("components", "k8s.io/kubernetes", versions.KUBERNETES),
        ("etcd", "go.etcd.io/etcd/server/v3", versions.ETCD),
        ("coredns", "github.com/coredns/coredns", versions.COREDNS),
        ("helm", "helm.sh/helm/v4", versions.HELM),
    ],
)
def test_a_module_requires_the_version_that_the_constants_name(module: str, path: str, version: str) -> None:
    assert f"v{version}" == required(module)[path]


def test_every_part_of_kubernetes_has_the_version_of_kubernetes() -> None:
    parts = pinned("components")
    assert len(parts) > 30
    assert dict.fromkeys(parts, _STAGED) == parts


@pytest.mark.parametrize("module", ["coredns", "helm"])
def test_what_a_module_shares_with_kubernetes_is_pinned_to_the_same_version(module: str) -> None:
    kubernetes = built_with("components")
    pins = pinned(module)
    assert "k8s.io/client-go" in pins
    assert {path: kubernetes[path] for path in pins} == pins


@pytest.mark.parametrize("folder", sorted(path.name for path in GO_TREE.iterdir()))
def test_a_module_can_be_built_without_choosing_versions(folder: str) -> None:
    module = GO_TREE / folder
    assert [] == [name for name in ("go.mod", "go.sum") if not (module / name).exists()]
    assert [] == [source for source in module.rglob("*.go") if not has_doc_comment(source)]


def has_doc_comment(source: Path) -> bool:
    return source.read_text().startswith(f"// Command {source.parent.name} ")
