"""Meanings of the reasons of RerankVerified."""

from typing import Final

from rerank_operator.api.meanings.meaning import Meaning
from rerank_operator.api.reasons import Reason

MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.RERANK_VERIFIED: Meaning("The model pods answered Milvus's own request correctly."),
    Reason.VERIFYING: Meaning("The pods are ready and are being asked Milvus's own request."),
    Reason.VERIFICATION_DISABLED: Meaning(
        "spec.verification.mode is Disabled: nobody checked whether the model ranks right.",
        "Set spec.verification.mode to Enabled.",
    ),
    Reason.RESTARTING_POD: Meaning(
        "Only in Events: the operator deletes a pod that went wrong, so that a new one takes its place "
        "(spec.verification.onFailure)."
    ),
    Reason.ENDPOINT_UNREACHABLE: Meaning(
        "The operator cannot reach the pod on its port, or the external server.",
        "Check NetworkPolicies between the operator's namespace and this one, and spec.external.endpoint.",
    ),
    Reason.RERANK_ROUTE_MISSING: Meaning(
        "The endpoint has no /rerank route, and is no vLLM that serves the model either.",
        "Use a vLLM image (spec.engine.image), and leave --root-path out of spec.engine.args. For an external server "
        "that lacks /v2/rerank alone, set spec.milvus.version to 2.6.1 or newer.",
    ),
    Reason.NOT_A_RERANKER: Meaning(
        "vLLM serves the model, but not as a reranker: its /rerank route answers 404.",
        "Choose a cross-encoder with one label, or give the flags it needs in spec.engine.args (--hf-overrides).",
    ),
    Reason.UNAUTHORIZED: Meaning(
        "The endpoint wants another key than Milvus would send.",
        "Remove --api-key and VLLM_API_KEY from spec.engine: they do not protect /rerank, they only break Milvus. "
        "Keys, also that of an external server, belong into the Secret of spec.access.bearerSecretRef, which the "
        "operator must be allowed to get.",
    ),
    Reason.KEY_NOT_ENFORCED: Meaning(
        "spec.access.bearerSecretRef is set, and the endpoint answers without a key.",
        "Take out of spec.podTemplate and spec.engine.env what replaces the guard's variables, file or volume.",
    ),
    Reason.MODEL_NAME_MISMATCH: Meaning(
        "/v1/rerank does not know the model by spec.model.name.",
        "Remove --served-model-name from spec.engine.args; the operator sets it to spec.model.name.",
    ),
    Reason.ENGINE_ERROR: Meaning(
        "The engine answers a rerank request with an error.", "Read its answer above and kubectl logs of the pod."
    ),
    Reason.ANSWER_MALFORMED: Meaning(
        "The answer is not what Milvus can read.", "Use a vLLM image that serves the Jina-style rerank API."
    ),
    Reason.INCOMPLETE_SCORES: Meaning(
        "The answer does not hold exactly one score per document; Milvus would give documents wrong scores.",
        "Use another engine version (spec.engine.image).",
    ),
    Reason.NON_FINITE_SCORES: Meaning(
        "A score is not a finite number; Milvus would fail the search.",
        "Set spec.engine.dtype to bfloat16 or float32: float16 overflows with some models.",
    ),
    Reason.RANKING_WRONG: Meaning(
        "The right document is not on top.",
        "The model is not a reranker, or lacks its prompt template: check the model card and spec.engine.args.",
    ),
    Reason.SCORES_CONSTANT: Meaning(
        "Different documents get the same score.",
        "Check that the model folder holds its tokenizer files, and that a template it needs is given "
        "(--chat-template).",
    ),
    Reason.TEMPLATE_MISSING: Meaning(
        "The model judges with a prompt, and it was given none: its scores say nothing.",
        "Give its template with --chat-template in spec.engine.args (vLLM 0.14 or newer).",
    ),
    Reason.OVERLONG_DOCUMENT_REJECTED: Meaning(
        "One document longer than the model's limit makes the engine refuse the whole request, although the published "
        "params ask it to truncate.",
        "Use a vLLM from 0.10.2 (spec.engine.image), or set spec.milvus.truncatePromptTokens to at most "
        "spec.model.maxLength.",
    ),
    Reason.TOO_SLOW_FOR_MILVUS: Meaning(
        "Not even a few documents are answered within ten seconds; Milvus gives up after thirty.",
        "Choose a smaller model, lower spec.model.maxLength, or use an accelerator.",
    ),
}
