"""Try what is published in a Milvus, beside the workers, and keep what it said."""

import asyncio
import base64
import binascii
import json
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import MilvusCheck
from rerank_operator.clients.errors import ApiRejected, ClientError
from rerank_operator.clients.kube import CONFIG_MAPS, SECRETS, Kind, KubeClient
from rerank_operator.clients.milvus import MilvusClient, MilvusSessionFailed, MilvusSessionTooSlow
from rerank_operator.controller.decisions import MilvusTarget
from rerank_operator.controller.values import Fault, Key, MilvusRecord
from rerank_operator.diagnosis.milvus_words import reason_of
from rerank_operator.engine.keys import keys_of
from rerank_operator.milvus.trial import MilvusAnswer, MilvusRequest, Stage, judge
from rerank_operator.resources.allowed_hosts import AllowedHosts

# When the API server was away: it says nothing about Milvus.
RETRY_SECONDS: Final = 2.0
FIRST_RETRY_SECONDS: Final = 30.0
LONGEST_RETRY_SECONDS: Final = 600.0
_RIGHT: Final = {Reason.MILVUS_VERIFIED, Reason.SEARCH_NOT_CHECKED}
_SPREAD: Final = 0.05
_LEFT: Final = "could not be dropped"


class CannotAskError(Exception):
    """What a check needs is missing; holds why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.fault: Fault = reason, detail


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
        try:
            request = await self._request(target)
            answer = await self._milvus.check(request)
        except CannotAskError as error:
            return None, error.fault
        except MilvusSessionTooSlow as error:
            return None, (Reason.MILVUS_TOO_SLOW, f"Milvus at {target.connection.uri}: {error}")
        except MilvusSessionFailed as error:
            return None, (Reason.MILVUS_ERROR, f"Milvus at {target.connection.uri}: {error}")
        return answer.version, verdict_of(request, answer)

    async def _request(self, target: MilvusTarget) -> MilvusRequest:
        """Everything that a check is told, its secrets read anew; raises CannotAskError."""
        connection, namespace = target.connection, target.key.namespace
        if not self._allowed.allow(connection.uri, namespace):
            raise CannotAskError(Reason.HOST_NOT_ALLOWED, f"milvus.connection.uri {connection.uri!r} is not allowed")
        token, ca_pem = connection.token_secret_ref, connection.tls and connection.tls.ca_bundle
        return MilvusRequest(
            uri=connection.uri,
            token=await self._text(SECRETS, namespace, token.name, token.key) if token else None,
            database=connection.database,
            ca_pem=await self._text(CONFIG_MAPS, namespace, ca_pem.config_map_name, ca_pem.key) if ca_pem else None,
            server_name=connection.tls and connection.tls.server_name,
            search=connection.check is MilvusCheck.SEARCH,
            function=json.loads(target.data["function.json"]),
            lite_params=json.loads(target.data["milvus-lite.json"]),
            api_key=await self._key(namespace, target.secret),
            query=target.question.query,
            documents=target.question.documents,
            best=target.question.best,
            timeout=float(connection.timeout_seconds),
            id=secrets.token_hex(4),
            now=time.time(),
        )

    async def _key(self, namespace: str, secret: str | None) -> str | None:
        """A key that callers of the model use."""
        if secret is None:
            return None
        keys = keys_of(await self._data(SECRETS, namespace, secret))
        if not keys:
            raise CannotAskError(Reason.SECRET_KEY_MISSING, f"Secret {secret!r} holds no key")
        return keys[0]

    async def _text(self, kind: Kind, namespace: str, name: str, key: str) -> str:
        """One value of a Secret or a ConfigMap, without blanks around it."""
        data = await self._data(kind, namespace, name)
        if key not in data:
            raise CannotAskError(Reason.SECRET_KEY_MISSING, f"{kind.kind} {name!r} has no key {key!r}")
        try:
            text = base64.b64decode(data[key]).decode() if kind is SECRETS else data[key]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise CannotAskError(
                Reason.SECRET_KEY_MISSING, f"key {key!r} of {kind.kind} {name!r} is no text"
            ) from error
        return str(text).strip()

    async def _data(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        try:
            found = await self._kube.get(kind, namespace, name)
        except ApiRejected as error:
            detail = f"the operator may not read {kind.kind} {name!r}: {error}"
            raise CannotAskError(Reason.MILVUS_UNAUTHORIZED, detail) from error
        if found is None:
            raise CannotAskError(Reason.SECRET_MISSING, f"{kind.kind} {name!r} does not exist")
        return found.get("data") or {}


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
