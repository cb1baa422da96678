"""The form of what is published in JSON: which keys there are, and what each may hold.

Milvus ignores a key that it does not know without an error, so a misspelt one must not get as far as the ConfigMap.
Here it is refused, and so are null, text in the place of a number, and `256.0`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from rerank_operator.api import names

# Major: a key went, or means something else. Minor: a key was added. docs/contract.md tells of both.
CONTRACT_VERSION: Final = "1.0"


def _without_defaults(schema: dict[str, Any]) -> None:
    """A key that is not needed is missing, and never null: so its default is no value to tell of."""
    for field in schema["properties"].values():
        field.pop("default", None)


class _Form(BaseModel):
    """No unknown key, no value of another type, no null."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra=_without_defaults)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON values; what is None is left out."""
        return self.model_dump(exclude_none=True)


_HOST: Final = r"^https?://[^/?#@\s]+"
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=1)]
# None stands for a key that is left out.
_Absent = SkipJsonSchema[None]

_Provider = Annotated[Literal["vllm"], Field(description="Provider of the reranker in Milvus.")]
_Endpoint = Annotated[
    str, Field(pattern=f"{_HOST}$", description="Address of the reranker, without a path: Milvus replaces the path.")
]
_ClientBatch = Annotated[_Count, Field(description="Documents in one request, for Milvus from 2.6.1 on.")]
_Truncation = Annotated[
    Literal[-1] | _Count | _Absent,
    Field(description="Tokens to which a query and document pair is cut; -1 for the model's limit."),
]
_Credential = Annotated[
    _Text | _Absent,
    Field(description="Name of the entry in milvus.yaml that holds the key, from Milvus 2.6.1 on; never the key."),
]
_Timeout = Annotated[
    _Count | _Absent, Field(description="Milliseconds that Milvus waits for an answer, from Milvus 3.0 on.")
]


class FunctionParams(_Form):
    """Params of a pymilvus Function, without `queries`: those belong to one search."""

    reranker: Literal["model"] = Field(description="The kind of rerank function.")
    provider: _Provider
    endpoint: _Endpoint
    max_client_batch_size: _ClientBatch
    max_batch: _Count = Field(description="Documents in one request, for Milvus 2.6.0.")
    truncate_prompt_tokens: _Truncation = None
    credential: _Credential = None
    timeout_ms: _Timeout = None


class ChainParams(_Form):
    """Arguments of fn.rerank_model of pymilvus 3.0, without `queries`: those belong to one search."""

    provider: _Provider
    endpoint: _Endpoint
    max_client_batch_size: _ClientBatch
    truncate_prompt_tokens: _Truncation = None
    credential: _Credential = None
    timeout_ms: _Timeout = None


class RerankFunction(_Form):
    """Arguments of a pymilvus Function."""

    name: _Text = Field(description="Name of the function.")
    function_type: Literal["RERANK"] = Field(description="Name of a FunctionType of pymilvus.")
    input_field_names: Annotated[list[_Text], Field(min_length=1, max_length=1)] = Field(
        description="The VARCHAR field of the collection that holds the text; Milvus takes exactly one."
    )
    params: FunctionParams = Field(description="Its params.")


class RerankChain(_Form):
    """What a FunctionChain of pymilvus 3.0 needs: its name and stage, and its one map operation."""

    name: _Text = Field(description="Name of the chain.")
    stage: Literal["L2_RERANK"] = Field(description="Name of a FunctionChainStage of pymilvus.")
    output: Literal["$score"] = Field(description="Column that the score of the model is written to.")
    input_field_name: _Text = Field(description="The VARCHAR field of the collection that holds the text.")
    params: ChainParams = Field(description="Arguments of fn.rerank_model.")


class LiteParams(_Form):
    """Params of a pymilvus Function for Milvus Lite, without `queries`: those belong to one search."""

    reranker: Literal["model"] = Field(description="The kind of rerank function.")
    provider: Literal["cohere"] = Field(description="The one provider that Milvus Lite has.")
    base_url: Annotated[str, Field(pattern=f"{_HOST}/v1$")] = Field(
        description="Address of the reranker; Milvus Lite appends /rerank."
    )
    model_name: _Text = Field(description="Name under which the reranker knows the model.")
    api_key: Annotated[
        Literal["not-needed"] | _Absent,
        Field(description="A placeholder; missing where the reranker wants a key, which the application then adds."),
    ] = None


#: The form of each key of the ConfigMap that holds JSON. `function-chain.json` may also be empty.
FORMS: Final[dict[str, type[_Form]]] = {
    "params.json": FunctionParams,
    "function.json": RerankFunction,
    "milvus-lite.json": LiteParams,
    "function-chain.json": RerankChain,
}


def build_schema(key: str) -> dict[str, Any]:
    """The JSON Schema of one key. Its `$id` is a name; nothing is to be had at that address."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{names.GROUP}/contract/{CONTRACT_VERSION}/{key}",
        **FORMS[key].model_json_schema(),
        "title": f"{key} of contract {CONTRACT_VERSION}",
    }
