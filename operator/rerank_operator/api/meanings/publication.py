"""Meanings of the reasons of ConfigPublished and Ready, and of conditions that are there where they apply."""

from typing import Final

from rerank_operator.api.meanings.meaning import Meaning
from rerank_operator.api.reasons import Reason

MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.CONFIG_PUBLISHED: Meaning("The ConfigMap describes the model that the Service routes to."),
    Reason.WAITING_FOR_VERIFICATION: Meaning("Nothing is published before the model has ranked right."),
    Reason.WAITING_FOR_ADDRESS: Meaning(
        "The load balancer of the Service has no address yet.",
        "Wait; if that stays so, read kubectl describe of the Service, or name the address in spec.publish.endpoint.",
    ),
    Reason.WAITING_FOR_MILVUS: Meaning(
        "spec.milvus.requireVerified is true, and no search in Milvus was reranked yet.",
        "Do what the condition MilvusVerified says, or set spec.milvus.requireVerified to false.",
    ),
    Reason.GATEWAY_API_MISSING: Meaning(
        "spec.route.gateway needs the Gateway API, and this cluster does not have it.",
        "Install the Gateway API and a controller for it, or use spec.route.ingress.",
    ),
    Reason.PUBLISHED_ADDRESS_WRONG: Meaning(
        "The pods rank right, but the address that would be published does not lead to them.",
        "Make a POST to /rerank of that address reach the Service: check the Gateway or ingress controller, "
        "spec.route, and spec.publish.endpoint.",
    ),
    Reason.AUTOSCALER_ACTIVE: Meaning("An autoscaler sets the number of pods."),
    Reason.KEDA_MISSING: Meaning(
        "spec.autoscaling.waitingRequests needs KEDA, and this cluster does not have it. The number of pods stays.",
        "Install KEDA, or use spec.autoscaling.metrics.",
    ),
    Reason.READY: Meaning("The model serves, ranks right, and its params are published."),
    Reason.MILVUS_VERIFIED: Meaning("A search in Milvus with the published function was reranked."),
    Reason.CHECKING_MILVUS: Meaning("Milvus is being asked, or will be once there is something to publish."),
    Reason.SEARCH_NOT_CHECKED: Meaning(
        "Milvus can be reached, and its version can rerank; no search was tried.",
        "Set spec.milvus.connection.check to Search to have one tried.",
    ),
    Reason.SERVER_TOO_OLD: Meaning(
        "Milvus before 2.6 ignores rerank functions without an error: searches come back in the order of the vectors.",
        "Upgrade Milvus to 2.6 or newer; with a key (spec.access) to 2.6.1 or newer.",
    ),
    Reason.MILVUS_UNREACHABLE: Meaning(
        "The operator cannot reach Milvus.",
        "Check spec.milvus.connection (uri, tls), that Milvus runs, and NetworkPolicies between it and the operator.",
    ),
    Reason.MILVUS_TOO_SLOW: Meaning(
        "Milvus did not finish the check in time.",
        "Look at the load and the health of Milvus, or raise spec.milvus.connection.timeoutSeconds.",
    ),
    Reason.MILVUS_UNAUTHORIZED: Meaning(
        "Milvus does not accept the token.",
        "Correct the Secret of spec.milvus.connection.tokenSecretRef: user:password, or an API key.",
    ),
    Reason.MILVUS_FORBIDDEN: Meaning(
        "The user of the token may not do what the check needs.",
        "Let the user create, load, search and drop collections in that database, or set "
        "spec.milvus.connection.check to Version.",
    ),
    Reason.PROVIDER_DISABLED: Meaning(
        "This Milvus has rerankers of vLLM switched off.",
        "Set function.rerank.model.providers.vllm.enable to true in milvus.yaml; key milvus.yaml of the ConfigMap "
        "holds the fragment.",
    ),
    Reason.CREDENTIAL_UNKNOWN: Meaning(
        "milvus.yaml has no credential of the published name.",
        "Add the entry with the key: key milvus.yaml of the ConfigMap holds the fragment; or correct "
        "spec.milvus.credentialName.",
    ),
    Reason.CREDENTIAL_REFUSED: Meaning(
        "Milvus calls the model with a key that the model does not accept, or with none.",
        "Put a key of the Secret of spec.access.bearerSecretRef into the credential of milvus.yaml.",
    ),
    Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS: Meaning(
        "Milvus cannot reach the published endpoint.",
        "Check DNS, NetworkPolicies and proxies of the Milvus pods. For a Milvus outside this cluster publish an "
        "address that it can reach: spec.service.type, spec.route or spec.publish.endpoint.",
    ),
    Reason.RESULT_NOT_RERANKED: Meaning(
        "The search succeeded, and its result is not in the order of the model.",
        "Check that this Milvus is 2.6 or newer and that no proxy in between drops the function.",
    ),
    Reason.MILVUS_ERROR: Meaning(
        "Milvus answers the check with an error.", "Read its answer above and the log of Milvus's proxy."
    ),
    Reason.COPIES_PUBLISHED: Meaning("Every namespace of spec.publish.namespaces holds a copy of the ConfigMap."),
    Reason.NAMESPACE_MISSING: Meaning(
        "A namespace of spec.publish.namespaces does not exist, or the operator does not watch it.",
        "Create it, take it out of the list, or add it to the namespaces that the operator watches.",
    ),
    Reason.NAMESPACE_NOT_OPTED_IN: Meaning(
        "A namespace did not agree to get copies from this one.",
        "Annotate it with rerank-operator.io/accept-publications-from: NAMESPACE (several with commas, or *).",
    ),
    Reason.COPY_REFUSED: Meaning(
        "A copy cannot be written.",
        "Rename what has its name, choose another spec.publish.configMapName, or correct what the message names.",
    ),
}
