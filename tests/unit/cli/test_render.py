"""`render` prints what the operator would apply, and refuses what the operator would refuse."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rerank_operator.cli import cli

MINIMAL = """
apiVersion: rerank-operator.io/v1alpha1
kind: RerankService
metadata: {name: bge, namespace: search}
spec: {model: {name: BAAI/bge-reranker-v2-m3}}
"""
REFUSED = MINIMAL.replace("BAAI/bge-reranker-v2-m3", "mixedbread-ai/mxbai-rerank-base-v1")
OTHER = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n"
KINDS = ["ConfigMap", "Deployment", "Service", "ConfigMap"]


def render(text: str, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["render", "-", *arguments], input=text)
    return result.exit_code, result.stdout, result.stderr


def kinds(text: str, *arguments: str) -> list[str]:
    code, out, err = render(text, *arguments)
    assert 0 == code, err
    return [document["kind"] for document in yaml.safe_load_all(out)]


def test_every_object_is_printed_in_the_order_of_creation() -> None:
    assert KINDS == kinds(MINIMAL)
    assert ["ControllerRevision", *KINDS] == kinds(MINIMAL, "--revision")


def test_budget_and_autoscaler_are_there_when_the_spec_asks_for_them() -> None:
    scaled = "{replicas: 2, autoscaling: {maxReplicas: 4, metrics: [{type: Resource}]}, "
    assert [*KINDS[:3], "PodDisruptionBudget", "HorizontalPodAutoscaler", "ConfigMap"] == kinds(
        MINIMAL.replace("spec: {", f"spec: {scaled}")
    )
    assert KINDS == kinds(MINIMAL.replace("spec: {", f"spec: {scaled}suspend: true, "))


def test_nothing_is_published_of_what_must_be_measured() -> None:
    *_, publication = yaml.safe_load_all(render(MINIMAL)[1])

    assert "256" == publication["data"]["RERANK_MAX_CLIENT_BATCH_SIZE"]
    assert "rerank-operator.io/measured-batch-size" not in publication["metadata"]["annotations"]


def test_an_image_is_for_resources_that_name_none() -> None:
    _, deployment, *_ = yaml.safe_load_all(render(MINIMAL, "--image", "hub.example.com/vllm:v0.33.0")[1])
    named = MINIMAL.replace("spec: {", "spec: {engine: {image: 'mine:v0.32.0'}, ")
    _, other, *_ = yaml.safe_load_all(render(named, "--image", "hub.example.com/vllm:v0.33.0")[1])
    images = [made["spec"]["template"]["spec"]["containers"][0]["image"] for made in (deployment, other)]

    assert ["hub.example.com/vllm:v0.33.0", "mine:v0.32.0"] == images


def test_a_namespace_is_for_resources_that_name_none() -> None:
    anywhere = MINIMAL.replace(", namespace: search", "")
    found = [
        {d["metadata"]["namespace"] for d in yaml.safe_load_all(render(anywhere, *arguments)[1])}
        for arguments in ((), ("-n", "x"))
    ]

    assert [{"default"}, {"x"}] == found
    code, _, err = render(MINIMAL, "--namespace", "x")
    assert 1 == code
    assert "metadata.namespace 'search' is not --namespace 'x': give one of them." in err


def test_other_kinds_are_left_out_with_a_note() -> None:
    code, out, err = render(MINIMAL + OTHER)

    assert (0, KINDS) == (code, [document["kind"] for document in yaml.safe_load_all(out)])
    assert "-: Secret keys is left out.\n" == err


def test_a_list_and_several_documents_are_all_rendered() -> None:
    document = yaml.safe_load(MINIMAL)
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [document, document]})

    assert 3 * KINDS == kinds(f"{listed}\n---\n{MINIMAL}")


def test_what_an_operator_wrote_into_the_status_is_no_part_of_the_file() -> None:
    assert KINDS == kinds(f"{MINIMAL}status: {{nobodyKnows: 1}}\n")


def test_a_refused_resource_renders_nothing_of_the_file() -> None:
    code, out, err = render(f"{MINIMAL}\n---\n{REFUSED}")

    assert (1, "") == (code, out)
    assert "RerankService bge is refused: ModelRefused: " in err


def test_what_the_catalog_warns_of_is_said_beside_the_result() -> None:
    code, out, err = render(MINIMAL.replace("BAAI/bge-reranker-v2-m3", "BAAI/bge-m3"))

    assert 0 == code
    assert "kind: Deployment" in out
    assert "RerankService bge: " in err
    assert "embedding model" in err


WRONG = {
    "a misspelt field": (MINIMAL.replace("name: BAAI", "nmae: BAAI"), "spec.model.name: required; add it."),
    "a wrong value": (MINIMAL.replace("spec: {", "spec: {replicas: many, "), "spec.replicas: "),
    "no name": (MINIMAL.replace("name: bge, ", ""), "metadata.name: required"),
    "another kind": (MINIMAL.replace("RerankService", "Deployment"), "holds no RerankService"),
    "another version": (MINIMAL.replace("v1alpha1", "v9"), "apiVersion 'rerank-operator.io/v9' is not known"),
    "a word": ("bge", "holds no RerankService"),
    "no YAML": ("{", "is not YAML"),
}


@pytest.mark.parametrize(("text", "complaint"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_the_field_and_the_remedy(text: str, complaint: str) -> None:
    code, out, err = render(text)

    assert (1, "") == (code, out)
    assert complaint in err


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    missing = CliRunner().invoke(cli, ["render", str(tmp_path / "nowhere.yaml")])
    unreadable = CliRunner().invoke(cli, ["render", str(binary)])

    assert (1, 1) == (missing.exit_code, unreadable.exit_code)
    assert "nowhere.yaml: No such file or directory. Give the path of a YAML file" in missing.stderr
    assert "binary.yaml: it is no text. Give the path" in unreadable.stderr


def test_of_an_external_server_only_the_publication_is_made() -> None:
    external = MINIMAL.replace("spec: {", "spec: {external: {endpoint: 'http://vllm.search.svc:8000'}, ")
    assert ["ConfigMap"] == kinds(external)

    (publication,) = yaml.safe_load_all(render(external)[1])
    assert "http://vllm.search.svc:8000" == publication["data"]["RERANK_ENDPOINT"]


@pytest.mark.parametrize(("way", "kind"), [("gateway: {name: public}", "HTTPRoute"), ("ingress: {}", "Ingress")])
def test_a_route_is_made_and_its_host_name_published(way: str, kind: str) -> None:
    routed = MINIMAL.replace("spec: {", f"spec: {{route: {{hostname: rerank.example.com, {way}}}, ")
    assert [*KINDS[:3], kind, "ConfigMap"] == kinds(routed)

    *_, publication = yaml.safe_load_all(render(routed)[1])
    assert "http://rerank.example.com" == publication["data"]["RERANK_ENDPOINT"]
