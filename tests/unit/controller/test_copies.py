"""Which copies there should be, and why one is missing."""

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.copies import (
    binding_after,
    copies_condition,
    is_copy,
    plan_binding,
    plan_copies,
    plan_removal,
    plan_withdrawals,
)
from rerank_operator.controller.decisions import Sharing
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Fault
from rerank_operator.resources.publication_copy import build_copy
from tests.builders import serving

(PUBLICATION,) = serving().publications
REFUSED: Fault = (Reason.NAMESPACE_NOT_OPTED_IN, "its annotation does not name search")
SECRET: Object = {
    "kind": "Secret",
    "metadata": {"name": "bge-binding", "namespace": "search", "uid": "uid-of-secret"},
    "data": {"type": "cmVyYW5r"},
}


def a_copy(namespace: str = "shop", **changes: object) -> Object:
    copy = build_copy(PUBLICATION, namespace)
    return {**copy, "metadata": {**copy["metadata"], "uid": f"uid-in-{namespace}"}, **changes}


def planned(
    *copies: Object, wanted: tuple[str, ...] = ("shop",), stands: dict[str, Fault | None] | None = None
) -> Sharing:
    return plan_copies(PUBLICATION, copies, {"shop": None} if stands is None else stands, wanted, "search")


def test_a_namespace_that_agrees_gets_a_copy() -> None:
    assert Sharing(create=(build_copy(PUBLICATION, "shop"),)) == planned()
    assert Sharing() == planned(a_copy())


def test_the_own_namespace_and_one_that_is_named_twice_get_no_further_copy() -> None:
    found = planned(wanted=("search", "shop", "shop"), stands={"shop": None, "search": None})

    assert ["shop"] == [copy["metadata"]["namespace"] for copy in found.create]


def test_a_namespace_that_does_not_agree_gets_none_and_is_told() -> None:
    found = planned(stands={"shop": REFUSED})

    assert Sharing(faults={"namespace shop": REFUSED}) == found


def test_a_namespace_that_is_wanted_no_more_loses_its_copy() -> None:
    assert (a_copy(),) == planned(a_copy(), wanted=()).delete


def test_a_namespace_of_which_nothing_is_known_keeps_its_copy_as_it_is() -> None:
    unknown: Fault = (Reason.NAMESPACE_MISSING, "the operator may not read it")
    former = a_copy(data={})
    former["metadata"]["name"] = "former"

    for copy in (a_copy(), a_copy(data={}), former):
        assert Sharing(faults={"namespace shop": unknown}) == planned(copy, stands={"shop": unknown})


def test_a_copy_that_says_something_else_is_taken_back_with_the_uid_of_what_is_there() -> None:
    for data in ({**PUBLICATION["data"], "params.json": "{}"}, {**PUBLICATION["data"], "more": "x"}, {}):
        (update,) = planned(a_copy(data=data)).update
        assert (PUBLICATION["data"], "uid-in-shop") == (update["data"], update["metadata"]["uid"])


def test_a_copy_under_a_former_name_goes_and_the_new_one_comes() -> None:
    former = a_copy()
    former["metadata"]["name"] = "former"
    found = planned(former)

    assert ((former,), 1) == (found.delete, len(found.create))


def test_while_nothing_is_published_no_copy_is_made_and_what_is_there_stays() -> None:
    assert Sharing() == plan_copies(None, (a_copy(),), {"shop": None}, ("shop",), "search")


def test_a_reranker_that_is_gone_leaves_no_copy() -> None:
    assert (a_copy(),) == plan_removal((a_copy(),)).delete
    assert is_copy(a_copy())
    assert not is_copy(PUBLICATION)


def test_a_namespace_that_agrees_no_more_loses_its_copy_and_no_other_does() -> None:
    copies = a_copy("shop"), a_copy("till"), a_copy("desk")

    assert Sharing(delete=(a_copy("till"),)) == plan_withdrawals(copies, {"shop": None, "till": REFUSED})
    assert Sharing() == plan_withdrawals((), {"till": REFUSED})


def test_a_namespace_of_which_nothing_is_known_has_withdrawn_nothing() -> None:
    unknown: Fault = (Reason.NAMESPACE_MISSING, "the operator may not read it")

    assert Sharing() == plan_withdrawals((a_copy(),), {"shop": unknown})


def test_the_condition_names_every_place_that_has_none() -> None:
    missing: Fault = (Reason.NAMESPACE_MISSING, "it does not exist")
    told = copies_condition({"namespace shop": REFUSED, "namespace till": missing}, ["desk"])

    assert ("False", Reason.NAMESPACE_NOT_OPTED_IN) == (told.status, told.reason)
    assert "namespace shop: its annotation" in told.message
    assert "namespace till: it does not exist" in told.message
    assert ("True", Reason.COPIES_PUBLISHED) == (
        copies_condition({}, ["shop"]).status,
        copies_condition({}, ["shop"]).reason,
    )


def test_the_secret_comes_follows_and_goes() -> None:
    assert Sharing(create=(SECRET,)) == plan_binding(SECRET, None, is_wanted=True)
    assert Sharing() == plan_binding(SECRET, SECRET, is_wanted=True)
    assert Sharing() == plan_binding(None, SECRET, is_wanted=True)
    assert Sharing(delete=(SECRET,)) == plan_binding(None, SECRET, is_wanted=False)
    (update,) = plan_binding(SECRET, {**SECRET, "data": {}}, is_wanted=True).update
    assert "uid-of-secret" == update["metadata"]["uid"]


def test_the_secret_is_in_the_status_only_when_it_was_written() -> None:
    fault: Fault = (Reason.COPY_REFUSED, "403")

    assert SECRET == binding_after(Sharing(create=(SECRET,)), {}, None)
    assert None is binding_after(Sharing(create=(SECRET,)), {"Secret bge-binding": fault}, None)
    assert None is binding_after(Sharing(delete=(SECRET,)), {}, SECRET)
    assert SECRET == binding_after(Sharing(), {}, SECRET)


def test_labels_of_a_copy_tell_its_reranker() -> None:
    assert "bge" == a_copy()["metadata"]["labels"][names.LABEL_RERANKER]


def test_the_condition_does_not_claim_a_copy_that_is_yet_to_come() -> None:
    told = copies_condition({}, ["shop"], ["namespace till"])

    assert ("Unknown", Reason.WAITING_FOR_VERIFICATION) == (told.status, told.reason)
    assert "Nothing is yet in namespace till" in told.message
    assert Reason.COPY_REFUSED == copies_condition({"namespace desk": (Reason.COPY_REFUSED, "")}, [], ["x"]).reason
