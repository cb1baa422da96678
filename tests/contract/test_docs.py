"""The documentation says what is there: commands, files, resources, fields, reasons, rights, links."""

import ast
import importlib.util
import json
import re
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml
from pydantic.alias_generators import to_camel
from typer.testing import CliRunner

from rerank_operator import __version__
from rerank_operator.api.crd import build_crd
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.catalog.accelerators import platforms
from rerank_operator.catalog.models import entries
from rerank_operator.cli import cli
from rerank_operator.milvus.config_map import build_data
from rerank_operator.settings import Settings
from tests.builders import a_publication
from tests.contract import models_page, reasons_page, spec_page
from tests.contract.chart import ROOT
from tests.contract.generate import INSTALL_FILE
from tests.contract.pages import BLOCK, Block, blocks, rows
from tests.contract.samples import SAMPLES, read

README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
CONTRACT, SECURITY, TROUBLESHOOTING = (
    ROOT / "docs" / f"{page}.md" for page in ("contract", "security", "troubleshooting")
)
PAGES = [README, CONTRIBUTING, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES_BEFORE_THE_FIRST_RESULT = 40
# Fields of other resources that a page names, and a file that looks like one.
NOT_OURS = {"spec.config", "spec.wait", "spec.timeout", "spec.healthChecks", "spec.md", "status.py"}

_HERE_DOCUMENT = re.compile(r"<<'EOF'\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def written_in(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def here_documents() -> list[Block]:
    """YAML that a shell block hands to kubectl."""
    return [
        block._replace(language="yaml", text=text)
        for block in written_in("sh")
        for text in _HERE_DOCUMENT.findall(block.text)
    ]


def code_of(page: Path) -> str:
    """All that a page sets as code, in blocks or in a line."""
    text = page.read_text(encoding="utf-8")
    in_lines = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return "\n".join([block.text for block in blocks(page)] + in_lines)


def keys_of_the_config_map() -> set[str]:
    return set(build_data(a_publication()))


def anchors(page: Path) -> set[str]:
    """The names by which a heading can be linked."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def page_name(page: Path) -> str:
    return page.name


def block_name(block: Block) -> str:
    return block.name


every_page = pytest.mark.parametrize("page", PAGES, ids=page_name)


def test_the_first_lines_of_the_readme_lead_from_nothing_to_a_first_result() -> None:
    beginning = "\n".join(README.read_text(encoding="utf-8").splitlines()[:LINES_BEFORE_THE_FIRST_RESULT])
    wanted = (
        "make demo",
        "helm install rerank-operator charts/rerank-operator --namespace rerank-operator-system --create-namespace",
        "kind: RerankService",
        "kubectl get rrs",
        r"kubectl get configmap bge-milvus -o jsonpath='{.data.params\.json}'",
    )
    positions = [beginning.find(step) for step in wanted]
    assert -1 not in positions, wanted[positions.index(-1)]
    assert sorted(positions) == positions


@every_page
def test_a_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code_of(page)))
    assert set() == named - targets


def test_contributing_lists_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set() == targets - set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING.read_text(encoding="utf-8")))


@every_page
def test_a_file_that_is_named_exists(page: Path) -> None:
    folders = "charts|crds|docs|manifests|operator|tests"
    named = set(re.findall(rf"(?<![\w./-])(?:{folders})/[\w./-]*", code_of(page)))
    given = set(re.findall(r"(?:--filename|-f|--values) ([^\s-]\S*)", code_of(page)))
    assert [] == sorted(path for path in named | given if not (ROOT / path).exists())


@every_page
def test_a_module_of_the_operator_that_is_named_exists(page: Path) -> None:
    packages = "api|catalog|cli|clients|controller|diagnosis|engine|milvus|rerank|resources|runtime"
    named = set(re.findall(rf"(?<![\w./-])(?:{packages})/[\w./]*", code_of(page)))
    package = ROOT / "operator" / "rerank_operator"
    assert [] == sorted(path for path in named if not (package / path).exists())


@every_page
def test_a_python_module_that_is_run_exists(page: Path) -> None:
    named = re.findall(r"python -m ([\w.]+)", code_of(page))
    assert [] == [module for module in named if importlib.util.find_spec(module) is None]


@every_page
def test_a_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if path.startswith("https:"):
            continue
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert [] == broken


@pytest.mark.parametrize("block", written_in("sh"), ids=block_name)
def test_a_shell_block_parses(block: Block) -> None:
    parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert "" == parsed.stderr


@pytest.mark.parametrize("block", [*written_in("yaml"), *here_documents()], ids=block_name)
def test_a_yaml_block_is_a_valid_resource(block: Block) -> None:
    for resource in yaml.safe_load_all(block.text):
        if resource["kind"] == "RerankService":
            assert "rerank-operator.io/v1alpha1" == resource["apiVersion"]
            RerankService.model_validate(resource)
        else:
            kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(
    "sample",
    ["minimal", "volume", "gated-model", "one-gpu", "autoscaled", "autoscaled-keda", "with-a-key", "own-questions"],
)
def test_an_example_of_the_spec_page_is_its_sample(sample: str) -> None:
    (file,) = [file for file in SAMPLES if file.stem == sample]
    shown = [yaml.safe_load(block.text) for block in blocks(spec_page.SPEC_PAGE) if block.language == "yaml"]
    assert read(file) in shown


@pytest.mark.parametrize("block", written_in("json"), ids=block_name)
def test_a_json_block_parses(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", written_in("python"), ids=block_name)
def test_a_python_block_parses(block: Block) -> None:
    assert ast.parse(block.text).body


def test_the_params_in_the_readme_are_those_of_its_resource(tmp_path: Path) -> None:
    (resource,) = (block for block in here_documents() if block.page == README)
    (shown,) = (block for block in blocks(README) if block.language == "json")
    file = tmp_path / "bge.yaml"
    file.write_text(resource.text, encoding="utf-8")
    printed = CliRunner().invoke(cli, ["params", str(file)])
    assert json.loads(printed.output) == json.loads(shown.text)


def test_the_python_in_the_readme_builds_the_published_function(tmp_path: Path) -> None:
    for key, value in build_data(a_publication()).items():
        (tmp_path / key).write_text(value, encoding="utf-8")
    (snippet,) = (block for block in blocks(README) if block.language == "python")
    program: dict[str, Any] = {}
    exec(compile(snippet.text, snippet.name, "exec"), program)  # noqa: S102 - it is ours, and readers paste it
    program["CONFIG"] = tmp_path
    milvus = _RecordingMilvus()

    assert ["hit"] * 5 == program["search"](milvus, "documents", "Why?", [0.5])
    ranker = milvus.arguments["ranker"]
    assert ("bge", ["text"], "RERANK") == (ranker.name, ranker.input_field_names, ranker.type.name)
    assert {**json.loads(build_data(a_publication())["params.json"]), "queries": ["Why?"]} == ranker.params


class _RecordingMilvus:
    """Takes a search of one vector and answers with as many hits as were asked for."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}

    def search(self, _collection: str, data: list[list[float]], **arguments: Any) -> list[list[str]]:
        self.arguments = arguments
        return [["hit"] * arguments["limit"] for _ in data]


def test_the_table_in_the_readme_is_what_kubectl_prints() -> None:
    (version,) = build_crd()["spec"]["versions"]
    columns = [column["name"].upper() for column in version["additionalPrinterColumns"]]
    assert ["NAME", *columns] in [line.split() for line in code_of(README).splitlines()]


def test_readme_and_contract_list_every_key_of_the_config_map() -> None:
    first_cells = {page: " ".join(cells[0] for cells in rows(page)) for page in (README, CONTRACT)}
    for page, text in first_cells.items():
        listed = set(re.findall(r"`(RERANK_\w+|[\w-]+\.(?:json|yaml|py))`", text))
        assert keys_of_the_config_map() == listed, page.name


def test_the_rules_of_the_contract_are_numbered_without_a_gap() -> None:
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE)]
    assert list(range(1, len(numbers) + 1)) == numbers


def test_the_models_page_is_what_make_generate_would_write() -> None:
    assert models_page.build_page() == models_page.MODELS_PAGE.read_text(encoding="utf-8"), "run `make generate`"


def test_every_field_of_the_catalog_is_described_on_the_models_page() -> None:
    assert models_page.described() == set(models_page.fields())


def test_every_model_is_on_the_models_page_and_those_to_use_instead_are_served() -> None:
    text = models_page.MODELS_PAGE.read_text(encoding="utf-8")
    served = {entry.id for entry in entries() if not entry.refusal}
    instead = {name for entry in entries() if entry.refusal for name in entry.refusal.alternatives}
    assert [] == [entry.id for entry in entries() if f"`{entry.id}`" not in text]
    assert set() == instead - served


def test_the_reasons_page_is_what_make_generate_would_write() -> None:
    assert reasons_page.build_page() == reasons_page.REASONS_PAGE.read_text(encoding="utf-8"), "run `make generate`"


def test_the_field_tables_are_what_make_generate_would_write() -> None:
    text = spec_page.SPEC_PAGE.read_text(encoding="utf-8")
    assert spec_page.build_page(text) == text, "run `make generate`"


def test_a_stale_page_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons_page, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    with pytest.raises(typer.Exit) as ended:
        reasons_page.update(page, "new", write=False)
    assert 1 == ended.value.exit_code
    reasons_page.update(page, "new", write=True)
    assert "new" == page.read_text(encoding="utf-8")
    reasons_page.update(page, "new", write=False)


def test_a_table_for_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match=r"there is no such field"):
        spec_page.build_page("<!-- fields of spec.nothing: x -->\n<!-- end of fields -->")


def test_every_field_is_in_a_table_of_the_spec_page() -> None:
    text = spec_page.SPEC_PAGE.read_text(encoding="utf-8")
    fields = [*spec_page.spec_fields(), *spec_page.status_fields()]
    assert len(fields) > 50, "the walk through the models found too little"
    assert [] == [field.path for field in fields if f"| `{field.path}` |" not in text]


def test_every_reason_is_on_the_reasons_page_and_in_the_table_of_the_spec_page() -> None:
    for page in (reasons_page.REASONS_PAGE, spec_page.SPEC_PAGE):
        named = set(re.findall(r"`(\w+)`", " ".join(" ".join(cells) for cells in rows(page))))
        assert set() == {reason.value for reason in Reason} - named, page.name


@pytest.mark.parametrize("page", [README, TROUBLESHOOTING], ids=page_name)
def test_every_reason_in_a_table_exists(page: Path) -> None:
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", " ".join(" ".join(cells) for cells in rows(page))))
    assert len(named) > 10
    assert set() == named - {reason.value for reason in Reason}


def test_the_troubleshooting_page_tells_of_at_least_25_threads_each_once() -> None:
    threads = [cells[0] for cells in rows(TROUBLESHOOTING)[2:]]
    assert len(threads) >= 25
    assert [] == [thread for thread in threads if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", thread)]
    assert sorted(set(threads)) == sorted(threads)


@every_page
def test_a_field_that_is_named_exists(page: Path) -> None:
    fields = {field.path.replace("[]", "") for field in [*spec_page.spec_fields(), *spec_page.status_fields()]}
    # A map, or a part of a Pod, holds fields of its own.
    holders = tuple(
        f"{path}." for path in ("spec.podTemplate.metadata", "spec.podTemplate.spec", "spec.resources.limits")
    )
    text = "\n".join(re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text(encoding="utf-8"))))
    named = set(re.findall(r"(?<![\w./])(?:spec|status)(?:\.\w+)+", text)) - NOT_OURS
    assert set() == {path for path in named - fields if not path.startswith(holders)}


def test_contributing_draws_the_layers_that_the_linter_checks() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    assert layers in [block.text.splitlines() for block in blocks(CONTRIBUTING)]


def test_the_security_page_lists_exactly_the_rights_of_the_operator() -> None:
    objects = yaml.safe_load_all(INSTALL_FILE.read_text(encoding="utf-8"))
    (role,) = (o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == "rerank-operator")
    verbs: dict[str, list[str]] = defaultdict(list)
    for rule in role["rules"]:
        for resource in rule["resources"]:
            verbs[resource] += rule["verbs"]
    granted = {resource: ", ".join(allowed) for resource, allowed in verbs.items()}
    listed = {cells[0].strip("`"): cells[1] for cells in rows(SECURITY) if cells[0].startswith("`")}
    assert granted == listed


@pytest.mark.parametrize("page", [README, spec_page.SPEC_PAGE], ids=page_name)
def test_the_default_images_are_those_of_the_operator(page: Path) -> None:
    named = set(re.findall(r"`(vllm/[\w.:-]+)`", page.read_text(encoding="utf-8")))
    assert {image for image in Settings().engine_images.values() if image} == named


def test_the_spec_page_has_a_row_for_each_kind_of_accelerator() -> None:
    told = {cells[0].strip("`"): cells[1:] for cells in rows(spec_page.SPEC_PAGE) if cells[-1].endswith("ngineImage`")}
    known = {
        kind.value: [
            f"`{found.resource}`" if found.resource else "none",
            f"`{found.image}`" if found.image else "none: set `spec.engine.image`",
            f"`{to_camel(found.image_setting)}`",
        ]
        for kind, found in platforms().items()
    }
    assert known == told


def test_the_image_in_the_readme_has_the_version_that_the_chart_asks_for() -> None:
    assert {__version__} == set(re.findall(r"rerank-operator:(\d[\w.]*)", README.read_text(encoding="utf-8")))


@every_page
def test_a_page_neither_sells_nor_belittles(page: Path) -> None:
    words = r"\b(easy|easily|simply|just|powerful|seamless(ly)?|robust|blazing|effortless(ly)?|cutting-edge)\b"
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    said = [line for line in text.splitlines() if re.search(words, line, re.IGNORECASE)]
    assert [] == said


@every_page
def test_a_line_holds_one_sentence(page: Path) -> None:
    lines = BLOCK.sub("", page.read_text(encoding="utf-8")).splitlines()
    text = [re.sub(r"^\s*(\d+\.|[*-]) ", "", line) for line in lines if not line.startswith("|")]
    assert [] == [line for line in text if re.search(r"[.!?] [A-Z`[]", line)]
