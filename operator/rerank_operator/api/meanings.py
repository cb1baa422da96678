"""What each reason says: when it appears, and the remedy that goes with it."""

import dataclasses
from typing import Final

from rerank_operator.api.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says: when it appears, and what a person can do about it (empty when nothing is wrong)."""

    when: str
    remedy: str = ""


MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.PENDING: Meaning("No operator has looked at this resource yet.", "Check that rerank-operator is running."),
    Reason.ACCEPTED: Meaning("The spec can be acted on."),
    Reason.INVALID_SPEC: Meaning("The spec holds values that cannot work together.", "Change the named field."),
    Reason.MODEL_REFUSED: Meaning(
        "The catalog, or the model's own files, say that vLLM cannot rerank with this model.",
        "Set spec.model.name to a model that `rerank-operator catalog` lists.",
    ),
    Reason.ENGINE_TOO_OLD: Meaning(
        "The vLLM of spec.engine.image cannot serve this model.",
        "Set spec.engine.image to a vLLM release that can, or remove it to use the operator's own.",
    ),
    Reason.ACCELERATOR_TOO_SMALL: Meaning(
        "The model needs more memory than spec.accelerator.memory.",
        "Choose a larger accelerator, lower spec.model.maxLength, or choose a smaller model.",
    ),
    Reason.HOST_NOT_ALLOWED: Meaning(
        "The resource names a host that the operator may not call.",
        "Use a Service of this namespace, or let whoever installed the operator add the host to allowedHosts.",
    ),
    Reason.NAME_CONFLICT: Meaning(
        "An object with the name of one of our children exists and belongs to somebody else.",
        "Delete or rename that object, or give this resource (or spec.publish.configMapName) another name.",
    ),
    Reason.NAMESPACE_TERMINATING: Meaning(
        "The namespace is being deleted, and takes no new objects.",
        "Use another namespace, or wait and create it anew.",
    ),
    Reason.ENGINE_AVAILABLE: Meaning("Enough model pods are ready."),
    Reason.EXTERNAL_ENDPOINT: Meaning("spec.external names a server that somebody else runs; nothing is deployed."),
    Reason.ENGINE_STARTING: Meaning("The model pods are starting; loading a model takes minutes."),
    Reason.SUSPENDED: Meaning("spec.suspend is true: no model pod runs, the published ConfigMap stays.", ""),
    Reason.FREEING_ACCELERATOR: Meaning(
        "The old pods go to free their accelerator for the new ones (spec.rollout.strategy). "
        "Nothing serves until the new pods are ready."
    ),
    Reason.WAITING_FOR_NODE: Meaning("An autoscaler is adding a node for the pod."),
    Reason.STARTUP_TIMEOUT: Meaning(
        "A pod did not answer within spec.rollout.startupTimeoutSeconds.",
        "Read its log with kubectl logs; a large model may need a longer spec.rollout.startupTimeoutSeconds.",
    ),
    Reason.ENGINE_UNRESPONSIVE: Meaning(
        "The engine runs, and gives no answer to a rerank request.",
        "Read kubectl logs of the pod. With spec.verification.onFailure RestartPod the operator restarts a pod that "
        "answered before.",
    ),
    Reason.UNSCHEDULABLE: Meaning(
        "No node can take the pod.",
        "Free capacity, add a node, or change spec.resources, spec.accelerator or spec.scheduling.",
    ),
    Reason.ACCELERATOR_MISSING: Meaning(
        "No node has a free accelerator of the wanted kind, or a free device for spec.accelerator.claims.",
        "Add a node with one, install the device plugin (or DRA driver) of its vendor, check "
        "spec.accelerator.resourceName and claims, free one, or set spec.accelerator.type to CPU. "
        "For a change on the only accelerator: spec.rollout.strategy Auto or Recreate.",
    ),
    Reason.ACCELERATOR_UNSUPPORTED: Meaning(
        "The GPU lacks what the engine's image or the number format needs.",
        "Set spec.engine.dtype to float16 on GPUs without bfloat16, choose an image for this GPU (spec.engine.image), "
        "or another node (spec.scheduling).",
    ),
    Reason.DRIVER_TOO_OLD: Meaning(
        "The NVIDIA driver of the node is older than the CUDA of the engine's image needs.",
        "Update the driver on the node, or choose an image with an older CUDA (spec.engine.image).",
    ),
    Reason.IMAGE_PULL_FAILED: Meaning(
        "The engine's image cannot be pulled.",
        "Check spec.engine.image for a typing error, and spec.engine.imagePullSecrets for a private registry.",
    ),
    Reason.SECRET_MISSING: Meaning(
        "A Secret that the spec names does not exist.",
        "Create the Secret in the namespace of this resource, or correct the reference in the spec "
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef).",
    ),
    Reason.SECRET_KEY_MISSING: Meaning(
        "The Secret exists, the key in it does not.",
        "Add the key to the Secret, or correct the reference in the spec "
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef).",
    ),
    Reason.VOLUME_UNBOUND: Meaning(
        "The volume claim of the model is missing or not bound.",
        "Create the PersistentVolumeClaim, or correct spec.model.source.volume.claimName.",
    ),
    Reason.VOLUME_MOUNT_FAILED: Meaning(
        "A volume of the pod cannot be attached or mounted.",
        "A ReadWriteOnce claim serves one node: use a ReadWriteMany or ReadOnlyMany claim for several pods, or "
        "spec.rollout.strategy Recreate. Else correct what the message names.",
    ),
    Reason.NODE_LOST: Meaning(
        "The node of the pod does not answer any more.",
        "Bring the node back, or delete it so that the pod is created on another one.",
    ),
    Reason.EVICTED: Meaning(
        "The kubelet ended the pod because its node ran short of something.",
        "Set spec.resources.requests to what the model needs, and free the named resource on the node.",
    ),
    Reason.OUT_OF_MEMORY: Meaning(
        "The engine used more memory than its limit, or than the node has.",
        "Raise spec.resources.limits.memory (model size times two and 4Gi is a good start), or choose a smaller model.",
    ),
    Reason.OUT_OF_GPU_MEMORY: Meaning(
        "The model does not fit into the memory of the GPU.",
        "Lower spec.model.maxLength, spread the model over more GPUs (spec.accelerator.count), choose a GPU with more "
        "memory, or make sure that nothing else uses this one.",
    ),
    Reason.DISK_FULL: Meaning(
        "The disk that the engine writes to is full.",
        "Put the model on a volume (spec.model.source.volume), or free or enlarge the disk of the node.",
    ),
    Reason.MODEL_NOT_FOUND: Meaning(
        "The model cannot be found.",
        "Check spec.model.name and spec.model.revision, or spec.model.source.volume.path for a model on a volume.",
    ),
    Reason.MODEL_GATED: Meaning(
        "The hub refuses the model to this token, or to somebody without one.",
        "Accept the model's licence on its page, and name a Secret with your token in "
        "spec.model.source.huggingFace.tokenSecretRef.",
    ),
    Reason.MODEL_DOWNLOAD_FAILED: Meaning(
        "The hub cannot be reached, or broke off.",
        "Check DNS, proxies and NetworkPolicies of the pod; name a mirror in spec.model.source.huggingFace.endpoint, "
        "or put the model on a volume (spec.model.source.volume).",
    ),
    Reason.MODEL_UNREADABLE: Meaning(
        "The files of the model are damaged, or the pod may not read them.",
        "Copy the model again, and make its files readable for everyone (chmod -R a+rX): pods do not run as root.",
    ),
    Reason.MODEL_MISMATCH: Meaning(
        "The files are not those of the model that the spec names.",
        "Correct spec.model.name or the folder (spec.model.source); for a model made from a known one set "
        "spec.model.basedOn.",
    ),
    Reason.RECIPE_UNKNOWN: Meaning(
        "The model's files do not tell how to serve it.",
        "Set spec.model.basedOn to the catalog's model that this one was made from.",
    ),
    Reason.UNSUPPORTED_ARCHITECTURE: Meaning(
        "This vLLM does not know the architecture of the model.",
        "Choose another reranker, or a vLLM that knows it (spec.engine.image).",
    ),
    Reason.TRUST_REMOTE_CODE_REQUIRED: Meaning(
        "The model brings its own Python code, and nobody allowed to run it.",
        "Read that code; then set spec.model.trustRemoteCode to true and pin spec.model.revision to that commit.",
    ),
    Reason.BAD_ENGINE_ARGUMENT: Meaning(
        "vLLM refuses an argument.", "Correct spec.engine.args; vLLM's own sentence names the argument."
    ),
    Reason.GUARD_FAILED: Meaning(
        "vLLM could not load the guard.",
        "Use a vLLM from 0.10.2 to 0.33 (spec.engine.image), or set spec.engine.guard to Disabled.",
    ),
    Reason.PORT_IN_USE: Meaning(
        "Something else in the pod, or on the node, already listens on the engine's port.",
        "Take hostNetwork and other servers out of spec.podTemplate; leave --port out of spec.engine.args.",
    ),
    Reason.CRASH_LOOPING: Meaning(
        "The engine ends again and again.", "Read its last words above, and kubectl logs --previous for the rest."
    ),
    Reason.POD_SECURITY_FORBIDDEN: Meaning(
        "Pod Security admission refuses the pod.",
        "Take the named settings out of spec.podTemplate; without it the pod meets the restricted level.",
    ),
    Reason.QUOTA_EXCEEDED: Meaning(
        "A ResourceQuota of the namespace is used up.", "Raise the quota, or lower spec.replicas or spec.resources."
    ),
    Reason.POD_REJECTED: Meaning(
        "The API server refuses the pod, or its node cannot create it.", "Correct what the message names."
    ),
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
        "The operator cannot reach the pod on its port.",
        "Check NetworkPolicies between the operator's namespace and this one.",
    ),
    Reason.RERANK_ROUTE_MISSING: Meaning(
        "The endpoint has no /rerank route, and is no vLLM that serves the model either.",
        "Use a vLLM image (spec.engine.image), and leave --root-path out of spec.engine.args.",
    ),
    Reason.NOT_A_RERANKER: Meaning(
        "vLLM serves the model, but not as a reranker: its /rerank route answers 404.",
        "Choose a cross-encoder with one label, or give the flags it needs in spec.engine.args (--hf-overrides).",
    ),
    Reason.UNAUTHORIZED: Meaning(
        "The endpoint wants another key than Milvus would send.",
        "Remove --api-key and VLLM_API_KEY from spec.engine: they do not protect /rerank, they only break Milvus. "
        "Keys belong into the Secret of spec.access.bearerSecretRef, which the operator must be allowed to get.",
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
    Reason.CONFIG_PUBLISHED: Meaning("The ConfigMap describes the model that the Service routes to."),
    Reason.WAITING_FOR_VERIFICATION: Meaning("Nothing is published before the model has ranked right."),
    Reason.WAITING_FOR_ADDRESS: Meaning(
        "The load balancer of the Service has no address yet.",
        "Wait; if that stays so, read kubectl describe of the Service, or name the address in spec.publish.endpoint.",
    ),
    Reason.WAITING_FOR_MILVUS: Meaning(
        "spec.milvus.requireVerified is true, and no search in Milvus was reranked yet; MilvusVerified tells why."
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
