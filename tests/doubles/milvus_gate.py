"""A gate in front of a real Milvus Lite server, which can make it look and fail like a full Milvus.

Everything passes through as it came, byte by byte, until a test says otherwise. What a full Milvus says was read in
its sources, or seen when its own rerank code was run: Milvus Lite knows neither users nor the provider vllm.

``with MilvusLite(folder) as lite, MilvusGate(lite.address) as gate:`` serves until the block ends.
"""

from __future__ import annotations

import base64
import functools
import math
import re
import threading
import time
from concurrent import futures
from http import HTTPStatus
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import grpc
from google.protobuf import message_factory
from pymilvus.grpc_gen import common_pb2, milvus_pb2

SERVICE = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
EVERYTHING = "*"
FAILED = 65535
POLL_SECONDS = 0.05
# A client without a deadline tells one that gRPC itself does not take.
MOST_SECONDS = 3600.0
WORKERS = 16
WRONG_PASSWORD = "auth check failure, please check username and password are correct"  # noqa: S105 - Milvus's words


class Refusal(NamedTuple):
    """How a call fails: with a status of gRPC, or with Milvus's own in an answer (``code`` None)."""

    text: str
    code: grpc.StatusCode | None = None


class RefusedError(Exception):
    """Milvus's own error text, for the answer."""


class MilvusGate:
    """Serves on ``url`` what the Milvus at ``address`` answers.

    Assign at any time: ``version`` is reported instead of Lite's, and makes the gate play the provider vllm of that
    version. ``refusals`` and ``delays`` (in seconds) are by the name of a call, or ``"*"``. ``token`` is what a client
    has to send. ``ignores_functions`` is what Milvus before 2.6 does. ``provider_enabled`` and ``credentials`` (key by
    name) are those of milvus.yaml. ``model`` is the name that Lite sends; Milvus sends none. With ``certificate`` (key
    and chain, PEM) it speaks TLS, and with ``authority`` (PEM) it takes only clients with a certificate of that one.

    ``calls`` are the names of all calls, in order.
    """

    def __init__(
        self,
        address: str,
        *,
        model: str = "tiny-reranker",
        certificate: tuple[bytes, bytes] | None = None,
        authority: bytes | None = None,
    ) -> None:
        self.version = ""
        self.refusals: dict[str, Refusal] = {}
        self.delays: dict[str, float] = {}
        self.token: str | None = None
        self.ignores_functions = False
        self.provider_enabled = True
        self.credentials: dict[str, str] = {}
        self.model = model
        self.calls: list[str] = []
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._server = grpc.server(futures.ThreadPoolExecutor(WORKERS), handlers=[self._handlers()])
        if certificate is None:
            self._scheme, self._port = "http", self._server.add_insecure_port("127.0.0.1:0")
        else:
            credentials = grpc.ssl_server_credentials([certificate], authority, authority is not None)
            self._scheme, self._port = "https", self._server.add_secure_port("127.0.0.1:0", credentials)
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.stop(0).wait()
        self._channel.close()

    @property
    def url(self) -> str:
        """What a client takes as ``uri``."""
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def _handlers(self) -> Any:
        """One handler for each call, which leaves the bytes as they are."""
        names = (method.name for method in SERVICE.methods)
        return grpc.method_handlers_generic_handler(
            SERVICE.full_name,
            {name: grpc.unary_unary_rpc_method_handler(functools.partial(self._answer, name)) for name in names},
        )

    def _answer(self, name: str, request: bytes, context: Any) -> bytes:
        """Answer one call as Lite does, or as was ordered."""
        self.calls.append(name)
        self._wait(self.delays.get(name, self.delays.get(EVERYTHING, 0.0)), context)
        if not context.is_active():
            context.abort(grpc.StatusCode.CANCELLED, "nobody waits any more")
        refusal = self._unauthenticated(context) or self.refusals.get(name) or self.refusals.get(EVERYTHING)
        if refusal is not None:
            if refusal.code is not None:
                context.abort(refusal.code, refusal.text)
            return failed(name, refusal.text)
        try:
            return self._forward(name, request, context)
        except RefusedError as error:
            return failed(name, str(error))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise

    def _wait(self, seconds: float, context: Any) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and context.is_active():
            self._stopped.wait(min(POLL_SECONDS, until - time.monotonic()) if math.isfinite(until) else POLL_SECONDS)
            if self._stopped.is_set():
                return

    def _unauthenticated(self, context: Any) -> Refusal | None:
        if self.token is None:
            return None
        sent = dict(context.invocation_metadata()).get("authorization")
        if sent is None:
            return Refusal("missing authorization in header", grpc.StatusCode.UNAUTHENTICATED)
        if sent != base64.b64encode(self.token.encode()).decode():
            return Refusal(WRONG_PASSWORD, grpc.StatusCode.UNAUTHENTICATED)
        return None

    def _forward(self, name: str, request: bytes, context: Any) -> bytes:
        call = self._channel.unary_unary(f"/{SERVICE.full_name}/{name}")
        metadata = [(key, value) for key, value in context.invocation_metadata() if key != "user-agent"]
        server = Server(self) if name == "Search" and self.version else None
        if name == "Search":
            request = self._search(request, server)
        answer: bytes = call(request, timeout=min(context.time_remaining(), MOST_SECONDS), metadata=metadata)
        if server is not None:
            return server.answer(answer)
        return self._introduced(name, answer) if self.version else answer

    def _search(self, request: bytes, server: Server | None) -> bytes:
        """The search that Lite is sent."""
        message = milvus_pb2.SearchRequest.FromString(request)
        if self.ignores_functions:
            message.ClearField("function_score")
        elif server is not None:
            for function in message.function_score.functions:
                params = server.lite_params({pair.key: pair.value for pair in function.params})
                del function.params[:]
                function.params.extend(common_pb2.KeyValuePair(key=k, value=v) for k, v in params.items())
        else:
            return request
        changed: bytes = message.SerializeToString()
        return changed

    def _introduced(self, name: str, answer: bytes) -> bytes:
        """What a server says of itself, with the version of another."""
        if name not in ("GetVersion", "Connect"):
            return answer
        message = output_type(name).FromString(answer)
        if name == "GetVersion":
            message.version = self.version
        else:
            message.server_info.build_tags = self.version
        changed: bytes = message.SerializeToString()
        return changed


class Server:
    """The provider vllm of one version of Milvus: what it reads, where it calls, and what it says when that fails.

    What Milvus Lite cannot do stays out: documents come in one request, with a model name and a bearer key.
    """

    def __init__(self, gate: MilvusGate) -> None:
        self._gate = gate
        self._first, self._newest = gate.version.startswith("2.6.0"), gate.version.startswith("3.")
        self._endpoint = ""

    def lite_params(self, sent: dict[str, str]) -> dict[str, str]:
        """The params with which Lite calls the same endpoint; raises RefusedError as Milvus does."""
        params = {key if key == "queries" else key.lower(): value for key, value in sent.items()}
        if params.get("provider", "").lower() != "vllm":
            return sent
        if not self._gate.provider_enabled:
            raise RefusedError("rerank provider: [vllm] is disabled" + self._invalid)
        if "queries" not in params:
            raise RefusedError("Rerank function lost params queries")
        self._endpoint = params.get("endpoint", "")
        if not self._endpoint:
            raise RefusedError("Rerank function lost params endpoint")
        key = self._key(params.get("credential", ""))
        self._number(params, "max_batch" if self._first else "max_client_batch_size", least=1)
        self._number(params, "truncate_prompt_tokens", least=-(2**63))
        address = urlsplit(self._endpoint)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise RefusedError(f"endpoint: [{self._endpoint}] is not a valid http/https link")
        base_url = f"{address.scheme}://{address.netloc}" + ("/v2" if self._first else "")
        lite = {"reranker": params.get("reranker", ""), "provider": "cohere", "queries": params["queries"]}
        return {**lite, "base_url": base_url, "api_key": key, "model_name": self._gate.model}

    def answer(self, answer: bytes) -> bytes:
        """Lite's answer, in which an error has the words of Milvus."""
        results = milvus_pb2.SearchResults.FromString(answer)
        reason = results.status.reason
        if found := re.fullmatch(r"Cohere API error (\d+): (.*)", reason, re.DOTALL):
            status = HTTPStatus(int(found[1]))
            return failed("Search", self._call_failed(f"{status.value} {status.phrase}, {found[2]}"))
        if reason.startswith("Cohere API connection error"):
            return failed("Search", self._call_failed(self._dial_error(reason)))
        return answer

    def _key(self, credential: str) -> str:
        if not credential or self._first:  # 2.6.0 does not know credentials
            return "none"
        if credential not in self._gate.credentials:
            missing = f"{credential} is not a apikey crediential, can not find key: {credential}.apikey"
            raise RefusedError(missing + self._invalid)
        return self._gate.credentials[credential]

    def _number(self, params: dict[str, str], key: str, least: int) -> None:
        value = params.get(key, "32")
        if not re.fullmatch(r"[+-]?\d+", value):
            raise RefusedError(f"[{key} param's value: {value}] is not a valid number" + self._invalid)
        if int(value) < least:
            raise RefusedError(f"[{key} param's value: {value}] must be greater than 0" + self._invalid)

    def _call_failed(self, what: str) -> str:
        if self._first:
            return f"Call rerank model failed: Call service failed, errs:[{what}]"
        if self._newest:
            return f"Map failed: call service failed, errs:[{what}]: function execution failed"
        return f"Call service failed, errs:[{what}]"

    def _dial_error(self, reason: str) -> str:
        """What Go says of the same fault."""
        host = urlsplit(self._endpoint).netloc
        name = host.partition(":")[0]
        dialled = f"dial tcp {host}: connect: connection refused"
        if "refused" not in reason:
            dialled = f"dial tcp: lookup {name} on 10.96.0.10:53: no such host"
        return f'Post "{self._endpoint}/rerank": {dialled}'

    @property
    def _invalid(self) -> str:
        return ": invalid parameter" if self._newest else ""


def output_type(name: str) -> Any:
    """The type of the answer to a call."""
    return message_factory.GetMessageClass(SERVICE.methods_by_name[name].output_type)


def failed(name: str, reason: str) -> bytes:
    """The answer to a call with which Milvus says that it failed."""
    status = common_pb2.Status(error_code=common_pb2.UnexpectedError, code=FAILED, reason=reason)
    kind = output_type(name)
    message = status if kind.DESCRIPTOR.full_name == status.DESCRIPTOR.full_name else kind(status=status)
    encoded: bytes = message.SerializeToString()
    return encoded
