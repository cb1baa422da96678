"""Where everything is wired: settings -> clients -> mirror, queue, workers -> kopf."""

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

import kopf

from rerank_operator.api import names
from rerank_operator.clients.errors import ClientError
from rerank_operator.clients.kube import HTTP_ROUTES, SCALED_OBJECTS, KubeClient
from rerank_operator.clients.milvus import MilvusClient
from rerank_operator.clients.vllm import VllmClient
from rerank_operator.controller import events
from rerank_operator.controller.check_milvus import MilvusChecker
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.reconcile import Reconciler
from rerank_operator.controller.resync import resync
from rerank_operator.controller.verify import Verifier
from rerank_operator.controller.workers import start_workers
from rerank_operator.controller.workqueue import WorkQueue
from rerank_operator.resources.allowed_hosts import AllowedHosts
from rerank_operator.resources.revision import EngineImages
from rerank_operator.runtime import health
from rerank_operator.runtime.metrics import Metrics
from rerank_operator.settings import Settings

if TYPE_CHECKING:
    from rerank_operator.controller.values import Key

logger = logging.getLogger(__name__)

FIRST_SYNC_RETRY_SECONDS: Final = 2.0
HEARD_SECONDS: Final = 10.0
HEARD_POLL_SECONDS: Final = 0.05
# Most clusters do not know these kinds.
_NOT_WATCHED: Final = {SCALED_OBJECTS.kind, HTTP_ROUTES.kind}


def run(settings: Settings) -> None:
    """Run the operator until it is told to stop (SIGTERM or SIGINT)."""
    log_format = kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.PLAIN
    kopf.configure(debug=settings.log_level == "DEBUG", log_format=log_format)
    logging.getLogger().setLevel(settings.log_level)
    # One line per watch event and one per verification request otherwise.
    for noisy in ("kopf.objects", "httpx"):
        logging.getLogger(noisy).setLevel(max(logging.getLogger().level, logging.WARNING))
    asyncio.run(_Operator(settings).run())


class _Operator:
    """One running operator."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mirror = Mirror()
        self._queue: WorkQueue[Key] = WorkQueue()
        self._metrics = Metrics(self._queue.__len__)
        self._tasks: list[asyncio.Task[None]] = []
        self._synced = asyncio.Event()
        self._heard: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Wire, sync, start the workers, and let kopf watch until the end."""
        settings = self._settings
        kube, vllm = await KubeClient.connect(), VllmClient.connect()
        wake = functools.partial(self._queue.add, urgent=True)
        verifier = Verifier(kube, vllm, settings.verifications, wake)
        hosts = AllowedHosts(settings.hosts)
        milvus = MilvusChecker(kube, MilvusClient(), hosts, settings.milvus_checks, wake)
        images = EngineImages(settings.engine_images)
        reconciler = Reconciler(kube, self._mirror, verifier, milvus, images, hosts, settings.namespaces)
        server = await health.serve(settings.health_port, self._unhealthy, self._metrics.exposition)
        # Created before kopf starts: kopf treats later tasks as its own and waits for them at the end.
        self._tasks = [asyncio.create_task(self._keep_in_sync(kube, verifier, milvus), name="resync")]
        self._tasks += start_workers(
            settings.workers, self._queue, reconciler.reconcile, self._metrics.observe_round, self._synced
        )
        try:
            await self._watch(verifier, milvus)
        finally:
            await self._stop(verifier, milvus)
            await vllm.close()
            await kube.close()
            await server.cleanup()

    async def _watch(self, verifier: Verifier, milvus: MilvusChecker) -> None:
        registry = kopf.OperatorRegistry()
        events.register(registry, self._mirror, self._queue, self._heard)

        @kopf.on.cleanup(registry=registry)
        async def stop(**_: Any) -> None:
            await self._stop(verifier, milvus)

        @kopf.on.login(registry=registry)
        def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
            return kopf.login_via_client(**kwargs)

        await kopf.operator(
            registry=registry,
            settings=events.watch_settings(),
            # Unused without peering; kopf would otherwise ask for the name of a user that the image does not have.
            identity=names.FIELD_MANAGER,  # type: ignore[arg-type]
            standalone=True,
            clusterwide=not self._settings.namespaces,
            namespaces=self._settings.namespaces,
        )

    async def _keep_in_sync(self, kube: KubeClient, verifier: Verifier, milvus: MilvusChecker) -> None:
        """Read everything now, again when the watches have begun, and then every few minutes.

        What is deleted after the first reading and before a watch begins is in no event. A worker that started from
        the first reading would believe in it: a pod that is gone would count as one that serves.
        """
        await self._sync(kube)
        deadline = asyncio.get_running_loop().time() + HEARD_SECONDS
        while self._has_silent_watch() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(HEARD_POLL_SECONDS)
        while True:
            await self._sync(kube)
            self._synced.set()
            keys = set(self._mirror.keys())
            verifier.forget_all_but(self._mirror.pod_uids(), keys)
            milvus.forget_all_but(keys)
            await asyncio.sleep(HEARD_SECONDS if self._has_silent_watch() else self._settings.resync_seconds)

    async def _sync(self, kube: KubeClient) -> None:
        while True:
            try:
                await resync(kube, self._mirror, self._queue, self._settings.namespaces)
            except ClientError as error:
                logger.warning("the API server does not answer", extra={"error": str(error)})
                await asyncio.sleep(FIRST_SYNC_RETRY_SECONDS)
            else:
                return

    def _has_silent_watch(self) -> bool:
        """Whether a watch that should have told of something has not begun; some kinds have none."""
        known = {(kind, place) for kind, place in self._mirror.places() if kind not in _NOT_WATCHED}
        if self._settings.namespaces:
            return not known <= self._heard
        return not {kind for kind, _ in known} <= {kind for kind, _ in self._heard}  # one watch for all namespaces

    async def _stop(self, verifier: Verifier, milvus: MilvusChecker) -> None:
        self._queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await verifier.close()
        await milvus.close()

    def _unhealthy(self) -> list[str]:
        dead = [f"{task.get_name()} has ended" for task in self._tasks if task.done()]
        return dead if self._synced.is_set() else [*dead, "the API server has not been read yet"]
