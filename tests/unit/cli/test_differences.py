"""A diff shows what changed, and where it lies."""

from typing import Any

from rerank_operator.cli.differences import differences, ours_of

CONTAINER: dict[str, Any] = {"name": "vllm", "image": "vllm:1", "env": [{"name": "A", "value": "1"}]}


def a_deployment(**container: Any) -> dict[str, Any]:
    pod = {"containers": [{**CONTAINER, **container}], "hostname": "same"}
    return {"kind": "Deployment", "metadata": {"name": "bge"}, "spec": {"replicas": 1, "template": {"spec": pod}}}


def test_nothing_differs_between_equal_objects_and_equal_quantities() -> None:
    before = a_deployment(resources={"limits": {"memory": "1Gi", "cpu": 1}})
    after = a_deployment(resources={"limits": {"memory": "1024Mi", "cpu": "1000m"}})

    assert [] == differences(before, after)


def test_a_changed_field_is_shown_with_the_way_to_it() -> None:
    assert [
        " spec:",
        "   template:",
        "     spec:",
        "       containers:",
        "       - name: vllm",
        "-        image: vllm:1",
        "+        image: vllm:2",
    ] == differences(a_deployment(), a_deployment(image="vllm:2"))


def test_an_item_of_a_named_list_comes_and_goes_by_itself() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    came = [line for line in differences(a_deployment(), a_deployment(env=env)) if line[0] in "+-"]
    went = [line for line in differences(a_deployment(env=env), a_deployment()) if line[0] in "+-"]

    assert ["+        env:", "+        - name: B", "+          value: '2'"] == came
    assert ["-        env:", "-        - name: B", "-          value: '2'"] == went


def test_most_equal_lines_of_a_long_text_are_left_out() -> None:
    lines = [f"line {number}" for number in range(20)]
    changed = [*lines[:10], "other", *lines[11:]]
    before, after = ({"metadata": {}, "data": {"example.py": "\n".join(text)}} for text in (lines, changed))

    assert [
        " data:",
        "   example.py: |",
        "     …",
        "     line 9",
        "-    line 10",
        "+    other",
        "     line 11",
        "     …",
    ] == differences(before, after)


def test_of_a_long_command_the_changed_words_are_shown_with_their_flags() -> None:
    command = [
        "vllm",
        "serve",
        "m",
        "--runner",
        "pooling",
        "--port",
        "8000",
        "--max-model-len",
        "512",
        "--enforce-eager",
    ]
    longer = [word.replace("512", "8192") for word in command]
    lines = differences(a_deployment(command=command), a_deployment(command=longer))

    assert ["…", "--max-model-len", "'512'", "'8192'", "--enforce-eager"] == [
        line.split("- ")[-1] for line in lines[-5:]
    ]


def test_status_and_annotations_are_nobodys_wish() -> None:
    before = {**a_deployment(), "status": {"replicas": 1}}
    after = a_deployment()
    after["metadata"]["annotations"] = {"rerank-operator.io/room-since": "now"}

    assert [] == differences(before, after)


def test_defaults_and_fields_of_others_are_not_ours() -> None:
    ours = a_deployment()
    live = a_deployment(imagePullPolicy="Always", env=[{"name": "A", "value": "1"}, {"name": "INJECTED", "value": "2"}])
    live["spec"]["paused"] = False
    seen = ours_of(live, ours)

    assert "paused" not in seen["spec"]
    assert "imagePullPolicy" not in seen["spec"]["template"]["spec"]["containers"][0]
