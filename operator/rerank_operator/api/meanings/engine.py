"""Meanings of the reasons of Accepted and EngineAvailable."""

from typing import Final

from rerank_operator.api.meanings.meaning import Meaning
from rerank_operator.api.reasons import Reason

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
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef, milvus.connection).",
    ),
    Reason.SECRET_KEY_MISSING: Meaning(
        "The Secret exists, the key in it does not.",
        "Add the key to the Secret, or correct the reference in the spec "
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef, milvus.connection).",
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
}
