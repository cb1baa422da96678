"""`spec.verification`: how the model pods are asked whether they rank right."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import Words, strict


class VerificationMode(Words):
    """Whether the pods are asked at all."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class OnFailure(Words):
    """What happens to a pod that served and goes wrong."""

    REPORT = "Report"
    RESTART_POD = "RestartPod"


class Language(Words):
    """Languages of the questions that ship with the operator."""

    AR = "ar"
    DE = "de"
    EN = "en"
    ES = "es"
    FR = "fr"
    HI = "hi"
    IT = "it"
    JA = "ja"
    KO = "ko"
    PT = "pt"
    RU = "ru"
    ZH = "zh"


class VerificationCase(schema.BaseModel):
    """A question whose best document is known."""

    model_config = strict(
        (
            "self.best < size(self.documents)",
            "verification.cases: best is the position of the right document, counted from 0",
        )
    )
    query: Annotated[str, Field(min_length=1, max_length=4096)] = Field(description="The query.")
    documents: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=16384)]], Field(min_length=2, max_length=32)
    ] = Field(description="Documents, of which exactly one is right.")
    best: schema.conint(ge=0, le=31) = Field(description="Position of the right document, counted from 0.")


class Verification(schema.BaseModel):
    """How the model pods are asked whether they rank right."""

    model_config = strict(
        (
            "!(has(self.cases) && size(self.cases) > 0 && has(self.languages) && size(self.languages) > 0)",
            "verification.cases replaces the questions that verification.languages chooses: give one of them",
        )
    )
    mode: VerificationMode = Field(
        VerificationMode.ENABLED,
        description="Disabled: publish what nobody has checked. Ready then says so.",
    )
    interval_seconds: schema.conint(ge=10, le=86400) = Field(
        300, description="How often each serving pod is asked again."
    )
    timeout_seconds: schema.conint(ge=1, le=30) = Field(
        30, description="How long an answer may take. Milvus gives up after 30 seconds."
    )
    languages: Annotated[list[Language], Field(max_length=12)] = Field(
        default_factory=list,
        description="Languages of the questions; default: those that the catalog names for the model, else English.",
    )
    cases: Annotated[list[VerificationCase], Field(max_length=32)] = Field(
        default_factory=list, description="Your own questions, in place of those that ship with the operator."
    )
    on_failure: OnFailure = Field(
        OnFailure.RESTART_POD,
        description="RestartPod: delete a pod that served and went wrong, one at a time and ever more rarely. "
        "Report: only say so.",
    )
    failure_threshold: schema.conint(ge=1, le=100) = Field(
        3, description="Wrong answers in a row before a pod is restarted."
    )
