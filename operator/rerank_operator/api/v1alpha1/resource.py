"""The RerankService resource as a whole."""

from kube_custom_resource import CustomResource, schema
from pydantic import ConfigDict, Field

from rerank_operator.api import names
from rerank_operator.api.v1alpha1.addresses import External, Route, ServiceSpec
from rerank_operator.api.v1alpha1.engine import Engine
from rerank_operator.api.v1alpha1.fields import rules, strict
from rerank_operator.api.v1alpha1.milvus import Access, Milvus, Publish
from rerank_operator.api.v1alpha1.model import Model
from rerank_operator.api.v1alpha1.pods import Accelerator, PodTemplate, Resources, Scheduling
from rerank_operator.api.v1alpha1.rollout import Autoscaling, Rollout
from rerank_operator.api.v1alpha1.status import RerankServiceStatus
from rerank_operator.api.v1alpha1.verification import Verification


class RerankServiceSpec(schema.BaseModel):
    """What the user wants."""

    model_config = strict(
        (
            (
                "!has(self.milvus) || !has(self.milvus.truncatePromptTokens) || !has(self.model.maxLength) || "
                "self.milvus.truncatePromptTokens <= self.model.maxLength"
            ),
            "milvus.truncatePromptTokens must not be larger than model.maxLength: vLLM refuses such requests; use -1",
        ),
        (
            (
                "!has(self.engine) || !has(self.engine.maxDocuments) || "
                "(has(self.milvus) && has(self.milvus.maxClientBatchSize) ? self.milvus.maxClientBatchSize : 256) "
                "<= self.engine.maxDocuments"
            ),
            "milvus.maxClientBatchSize must not be larger than engine.maxDocuments: the guard would refuse each batch",
        ),
        (
            (
                "!has(self.access) || !has(self.access.bearerSecretRef) || !has(self.engine) || "
                "!has(self.engine.guard) || self.engine.guard == 'Enabled'"
            ),
            "access.bearerSecretRef needs engine.guard Enabled: vLLM itself leaves /rerank open",
        ),
        (
            (
                "!has(self.external) || !(has(self.engine) || has(self.accelerator) || has(self.resources) || "
                "has(self.scheduling) || has(self.podTemplate) || has(self.autoscaling) || has(self.service) || "
                "has(self.route) || has(self.model.source))"
            ),
            (
                "external names a server that somebody else runs: take out model.source, engine, accelerator, "
                "resources, scheduling, podTemplate, autoscaling, service and route"
            ),
        ),
        (
            "!has(self.external) || !has(self.publish) || !has(self.publish.endpoint)",
            "publish.endpoint must not be set with external: external.endpoint is what is published",
        ),
    )
    model: Model = Field(description="The model to serve.")
    external: schema.Optional[External] = Field(
        None, description="A rerank server that exists: nothing is deployed, it is verified and published."
    )
    engine: Engine = Field(default_factory=Engine, description="The vLLM server.")
    accelerator: Accelerator = Field(default_factory=Accelerator, description="What the model runs on.")
    replicas: schema.conint(ge=0, le=1000) = Field(1, description="Number of model pods.")
    resources: Resources = Field(default_factory=Resources, description="Requests and limits of the engine.")
    scheduling: Scheduling = Field(default_factory=Scheduling, description="Where pods may run.")
    pod_template: schema.Optional[PodTemplate] = Field(None, description="Anything else of a pod.")
    rollout: Rollout = Field(default_factory=Rollout, description="How a change is brought up.")
    autoscaling: schema.Optional[Autoscaling] = Field(None, description="Let the number of pods follow the load.")
    service: ServiceSpec = Field(default_factory=ServiceSpec, description="The Service in front of the pods.")
    route: schema.Optional[Route] = Field(None, description="A host name for callers outside the cluster.")
    access: Access = Field(default_factory=Access, description="Who may call the model pods.")
    milvus: Milvus = Field(default_factory=Milvus, description="What is published for Milvus.")
    publish: Publish = Field(default_factory=Publish, description="The ConfigMap that applications read.")
    verification: Verification = Field(
        default_factory=Verification, description="How the model pods are asked whether they rank right."
    )
    suspend: bool = Field(False, description="Stop all model pods and keep the publication.")


class RerankService(
    CustomResource,
    kind=names.KIND,
    plural_name=names.PLURAL,
    short_names=["rrs"],
    subresources={
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
    printer_columns=[
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Reason", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].reason'},
        {"name": "Model", "type": "string", "jsonPath": ".spec.model.name"},
        {"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint"},
        {"name": "Config", "type": "string", "jsonPath": ".status.configMapName"},
    ],
):
    """A vLLM reranker that is verified the way Milvus calls it, and its published Milvus params."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    f"size(self.metadata.name) <= {names.MAX_NAME_LENGTH} && "
                    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
                ),
                (
                    f"metadata.name becomes a Service name: at most {names.MAX_NAME_LENGTH} lower-case letters, digits "
                    "and dashes, starting with a letter"
                ),
            )
        )
    )
    spec: RerankServiceSpec = Field(description="What the user wants.")
    status: schema.Optional[RerankServiceStatus] = Field(None, description="What the operator sees.")
