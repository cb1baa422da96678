"""The story of one round: observe, plan, apply, verify, publish, report."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

from rerank_operator.api.conditions import Condition, ConditionType
from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ClientError, NameConflict, NamespaceTerminating, ObjectInvalid
from rerank_operator.clients.kube import RERANKERS, KubeClient
from rerank_operator.controller.apply import apply
from rerank_operator.controller.check_milvus import MilvusChecker
from rerank_operator.controller.copies import binding_after, is_copy, place_of, plan_removal, plan_withdrawals
from rerank_operator.controller.decisions import Restart
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.observe import Answers, look, observe
from rerank_operator.controller.plan import make_plan
from rerank_operator.controller.publish import publish
from rerank_operator.controller.restart import restart
from rerank_operator.controller.share import share
from rerank_operator.controller.status import report
from rerank_operator.controller.times import rfc3339
from rerank_operator.controller.values import Fault, Key, Observed
from rerank_operator.controller.verify import Verifier
from rerank_operator.resources.acceptance import refusal_of
from rerank_operator.resources.allowed_hosts import AllowedHosts
from rerank_operator.resources.event import build_event
from rerank_operator.resources.revision import EngineImages

# A verdict usually comes within this time; telling "Verifying" before would be a write for nothing.
VERDICT_SECONDS: Final = 1.0
# A foreign object or a refused one may be corrected without an event that reaches us.
RETRY_TROUBLE_SECONDS: Final = 30.0

logger = logging.getLogger(__name__)

# What was asked before the writes of a round, and cannot be looked up in the mirror.
_ASKED: Final = (
    "binding",
    "events",
    "gateway_api_installed",
    "hosts",
    "keda_installed",
    "logs",
    "milvus_identity",
    "secret_fault",
    "stands",
)
# Ordinary progress is in the status; an Event is for what a person should notice.
_NO_EVENT: Final = {Reason.ENGINE_STARTING, Reason.VERIFYING, Reason.PENDING}


@dataclasses.dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one reranker a step nearer to what its spec asks for."""

    kube: KubeClient
    mirror: Mirror
    verifier: Verifier
    milvus: MilvusChecker
    images: EngineImages
    hosts: AllowedHosts = dataclasses.field(default_factory=AllowedHosts)
    namespaces: tuple[str, ...] = ()

    @property
    def _answers(self) -> Answers:
        return Answers(self.verifier.records, self.verifier.early, self.milvus.records)

    async def reconcile(self, key: Key) -> float | None:
        """One round; returns the seconds after which to look again even if nothing happens, None for never.

        Raises ClientError when the API server did not take a write: try the round again later.
        """
        observed = await observe(key, self.mirror, self._answers, self.kube, self.namespaces)
        if observed is None:
            await self._forget(key)
            return None
        observed = await self._withdraw(dataclasses.replace(observed, hosts=self.hosts))
        if refusal := self._refusal(observed):
            await self._report(key, observed, {"refused": refusal})
            return None
        plan = make_plan(observed, self.images)
        trouble: dict[str, Any] = {"conflicts": observed.conflicts}
        published = False
        try:
            await apply(plan, self.kube, self.mirror)
            if self.verifier.start(plan.verify):
                return VERDICT_SECONDS
            published = await publish(plan, observed, self.kube, self.mirror)
            self.milvus.start(plan.milvus)
            faults = await share(plan.share, self.kube, self.mirror)
            trouble["copy_faults"] = faults
            observed = dataclasses.replace(observed, binding=binding_after(plan.share, faults, observed.binding))
            if plan.restart and await restart(plan.restart, self.kube):
                await self._tell_restart(observed, plan.restart)
        except NameConflict as error:
            trouble = {"conflicts": (str(error),)}
        except NamespaceTerminating as error:
            trouble = {"refused": (Reason.NAMESPACE_TERMINATING, f"The API server says: {error}")}
        except ObjectInvalid as error:
            seen = f"The API server refuses a child of this resource: {error}"
            trouble = {"refused": (Reason.INVALID_SPEC, seen)}
        observed = dataclasses.replace(observed, milvus_identity=plan.milvus_identity)
        await self._report(key, observed, trouble)
        # What was switched away from goes in a round of its own, planned from what is then true.
        return _pause(trouble, 0.0 if published else plan.requeue_after)

    def _refusal(self, observed: Observed) -> Fault | None:
        """Why a new revision would fail for certain. One that exists is left alone: a newer catalog stops nothing."""
        if observed.reranker is not None and observed.external is not None:
            return self._external_refusal(observed)
        if observed.reranker is None or observed.conflicts or observed.desired in observed.revisions:
            return None
        spec = observed.wanted.spec
        return refusal_of(spec, self.images.of(spec))

    def _external_refusal(self, observed: Observed) -> Fault | None:
        """Why a server that somebody else runs may not be asked; again in each round, since the settings decide."""
        url = observed.external
        if url is None or self.hosts.allow(url, observed.key.namespace):
            return None
        return Reason.HOST_NOT_ALLOWED, f"external.endpoint is {url}"

    async def _withdraw(self, observed: Observed) -> Observed:
        """Delete copies where they are not agreed to any more, before anything that could end the round."""
        sharing = plan_withdrawals(observed.copies, observed.stands)
        if not sharing.delete:
            return observed
        faults = await share(sharing, self.kube, self.mirror)
        if faults:
            logger.warning("a copy was not deleted", extra={"reranker": "/".join(observed.key), "error": str(faults)})
        left = tuple(copy for copy in observed.copies if copy not in sharing.delete or place_of(copy) in faults)
        return dataclasses.replace(observed, copies=left)

    async def _forget(self, key: Key) -> None:
        """Delete the copies of a reranker that is gone; nothing owns them across namespaces.

        Where its namespace is not watched, nobody here knows whether it is gone.
        """
        if self.namespaces and key.namespace not in self.namespaces:
            return
        copies = tuple(obj for obj in self.mirror.of(key) if is_copy(obj))
        if copies and await self.kube.get(RERANKERS, *key) is None:
            await share(plan_removal(copies), self.kube, self.mirror)

    async def _report(self, key: Key, before: Observed, trouble: dict[str, Any]) -> None:
        """Report what is true after the writes of this round; what was asked before them is still true."""
        observed = look(key, self.mirror, self._answers)
        if observed is None:
            return
        asked = {field: getattr(before, field) for field in _ASKED}
        observed = dataclasses.replace(observed, **asked, **trouble)
        changed = await report(observed, self.kube, self.mirror)
        if changed:
            logger.info("%s: %s", "/".join(key), changed.reason, extra={"reranker": "/".join(key)})
        if changed and changed.reason not in _NO_EVENT:
            await self._post_event(observed, changed)

    async def _tell_restart(self, observed: Observed, decided: Restart) -> None:
        pod, verdict = decided.pod, decided.verdict
        seen = f"Pod {pod.name} is deleted because it went wrong ({verdict.reason}): {verdict.detail}"
        condition = Condition(ConditionType.RERANK_VERIFIED, "False", Reason.RESTARTING_POD, seen)
        await self._post_event(observed, condition)

    async def _post_event(self, observed: Observed, ready: Condition) -> None:
        event = build_event(observed.resource, ready, rfc3339(observed.at))
        try:
            await self.kube.post_event(event)
        except ClientError as error:  # an Event is a courtesy: the condition says the same
            logger.warning("an event was not posted", extra={"error": str(error)})


def _pause(trouble: Mapping[str, Any], pause: float | None) -> float | None:
    """Seconds until the next round; a place that takes no copy delays nothing else."""
    if trouble.get("conflicts") or trouble.get("refused"):
        return RETRY_TROUBLE_SECONDS
    if trouble.get("copy_faults"):
        return RETRY_TROUBLE_SECONDS if pause is None else min(pause, RETRY_TROUBLE_SECONDS)
    return pause
