"""Try what is published in a Milvus, beside the workers, and keep what it said."""

import asyncio
import json
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import MilvusCheck, MilvusConnection
from rerank_operator.clients.errors import ClientError
from rerank_operator.clients.kube import CONFIG_MAPS, SECRETS, KubeClient
from rerank_operator.clients.milvus import MilvusClient, MilvusSessionFailed, MilvusSessionTooSlow
from rerank_operator.controller.decisions import MilvusTarget
from rerank_operator.controller.references import UnresolvedError, first_key, texts
from rerank_operator.controller.values import Fault, Key, MilvusRecord
from rerank_operator.diagnosis.milvus_words import certificate_hint, reason_of
from rerank_operator.milvus.trial import MilvusAnswer, MilvusRequest, Stage, judge
from rerank_operator.resources.allowed_hosts import AllowedHosts

# When the API server was away: it says nothing about Milvus.
RETRY_SECONDS: Final = 2.0
FIRST_RETRY_SECONDS: Final = 30.0
LONGEST_RETRY_SECONDS: Final = 600.0
_RIGHT: Final = {Reason.MILVUS_VERIFIED, Reason.SEARCH_NOT_CHECKED}
_SPREAD: Final = 0.05
# As in every Secret of type kubernetes.io/tls: the certificate, and its private key.
_PAIR: Final = ("tls.crt", "tls.key")
_LEFT: Final = "could not be dropped"


class MilvusChecker:
    """Runs checks with a bound on how many run at once, one of each reranker, and remembers what each Milvus said."""

    def __init__(
        self, kube: KubeClient, milvus: MilvusClient, allowed: AllowedHosts, limit: int, wake: Callable[[Key], None]
    ) -> None:
        self._kube = kube
        self._milvus = milvus
        self._allowed = allowed
        self._slots = asyncio.Semaphore(limit)
        self._wake = wake
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._records: dict[Key, MilvusRecord] = {}

    @property
    def records(self) -> Mapping[Key, MilvusRecord]:
        """What the Milvus of each reranker said last."""
        return self._records

    def start(self, target: MilvusTarget | None) -> None:
        """Check unless that is already going on. The key is woken when there is something to tell."""
        if target is not None and target.key not in self._running:
            name = f"check {target.connection.uri}"
            self._running[target.key] = asyncio.create_task(self._run(target), name=name)

    def forget_all_but(self, keys: set[Key]) -> None:
        """Drop what is known of rerankers that are gone."""
        for key in set(self._records) - keys:
            del self._records[key]

    async def close(self) -> None:
        """Cancel what is running, and wait until it has cleaned up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, target: MilvusTarget) -> None:
        try:
            async with self._slots:
                version, fault = await self._check(target)
        except ClientError:
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake, target.key)
            return
        finally:
            del self._running[target.key]
        self._records[target.key] = next_record(self._records.get(target.key), version, fault, target, time.time())
        self._wake(target.key)

    async def _check(self, target: MilvusTarget) -> tuple[str | None, Fault]:
        """Version and finding; raises ClientError when the API server is away."""
        uri = target.connection.uri
        if not self._allowed.allow(uri, target.key.namespace):
            return None, (Reason.HOST_NOT_ALLOWED, f"milvus.connection.uri {uri!r} is not allowed")
        try:
            request = await self._request(target)
            answer = await self._milvus.check(request)
        except UnresolvedError as error:
            return None, (error.reason or Reason.MILVUS_UNAUTHORIZED, str(error))
        except MilvusSessionTooSlow as error:
            return None, (Reason.MILVUS_TOO_SLOW, f"Milvus at {uri}: {error}")
        except MilvusSessionFailed as error:
            return None, (Reason.MILVUS_ERROR, f"Milvus at {uri}: {error}")
        return answer.version, verdict_of(request, answer)

    async def _request(self, target: MilvusTarget) -> MilvusRequest:
        """Everything that a check is told, its secrets read anew; raises UnresolvedError."""
        connection, namespace = target.connection, target.key.namespace
        credentials = await self._credentials(connection, namespace)
        return MilvusRequest(
            uri=connection.uri,
            database=connection.database,
            server_name=connection.tls and connection.tls.server_name,
            search=connection.check is MilvusCheck.SEARCH,
            function=json.loads(target.data["function.json"]),
            lite_params=json.loads(target.data["milvus-lite.json"]),
            api_key=await first_key(self._kube, namespace, target.secret),
            query=target.question.query,
            documents=target.question.documents,
            best=target.question.best,
            timeout=float(connection.timeout_seconds),
            id=secrets.token_hex(4),
            now=time.time(),
            **credentials,
        )

    async def _credentials(self, connection: MilvusConnection, namespace: str) -> dict[str, str]:
        """Token and certificates, by their names in a MilvusRequest; raises UnresolvedError."""
        told, kube = {}, self._kube
        if token := connection.token_secret_ref:
            (told["token"],) = await texts(kube, SECRETS, namespace, token.name, token.key)
        if bundle := connection.tls and connection.tls.ca_bundle:
            (told["ca_pem"],) = await texts(kube, CONFIG_MAPS, namespace, bundle.config_map_name, bundle.key)
        if client := connection.tls and connection.tls.client_secret_ref:
            pair = await texts(kube, SECRETS, namespace, client.name, *_PAIR)
            if "" in pair:  # gRPC would abort the process, or show no certificate
                detail = f"key {_PAIR[pair.index('')]!r} of Secret {client.name!r} is empty"
                raise UnresolvedError(Reason.SECRET_KEY_MISSING, detail)
            told["client_pem"], told["client_key"] = pair
        return told


def verdict_of(request: MilvusRequest, answer: MilvusAnswer) -> Fault:
    """What a check found, in words that name the Milvus; MilvusVerified or SearchNotChecked where it is right.

    A collection that stays behind is told. Where that is for lack of rights it is a fault, whatever the search said:
    every further check would leave one more.
    """
    reason = reason_of(answer.stage, answer.error) if answer.error else None
    detail = answer.error
    if answer.stage is Stage.DROP and reason is not Reason.MILVUS_FORBIDDEN:
        reason = None
    if reason is None:
        reason, detail = judge(request, answer)
    elif answer.stage is Stage.CONNECT and request.uri.startswith("https://"):
        hint = certificate_hint(answer.error, is_shown=request.client_pem is not None)
        detail = f"{detail.removesuffix('.')}. {hint}" if hint else detail
    left = f"; {', '.join(answer.left_over)} {_LEFT}" if answer.left_over else ""
    who = f"Milvus {answer.version}" if answer.version else "Milvus"
    return reason, f"{who} at {request.uri}: {detail}{left}"


def next_record(
    before: MilvusRecord | None, version: str | None, fault: Fault, target: MilvusTarget, now: float
) -> MilvusRecord:
    """The record after one more check at the time `now` (epoch seconds).

    While the reason stays, so does what was said first: errors hold times and numbers, and a status must not follow
    them.
    """
    reason, detail = fault
    right = reason in _RIGHT
    told = before if before is not None and before.identity == target.identity else None
    version = version or (told.version if told else None)
    if told and (told.reason, told.version, _LEFT in told.detail) == (reason, version, _LEFT in detail):
        detail = told.detail
    failures = 0 if right else (told.failures if told else 0) + 1
    return MilvusRecord(
        identity=target.identity,
        reason=reason,
        detail=detail,
        version=version,
        failures=failures,
        ask_again_at=now + _pause(target, failures),
    )


def _pause(target: MilvusTarget, failures: int) -> float:
    """Seconds until Milvus is asked again: ever more rarely while it is wrong."""
    if failures:
        return min(FIRST_RETRY_SECONDS * 2.0 ** (failures - 1), LONGEST_RETRY_SECONDS)
    # Spread, so that what was checked in the same second is not checked in the same second for ever.
    spread = zlib.crc32(str(target.key).encode()) % 1000 / 1000
    return float(target.connection.interval_seconds) * (1.0 - _SPREAD * spread)
