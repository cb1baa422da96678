"""/healthz and /metrics of the operator."""

from collections.abc import Callable

from aiohttp import web


async def serve(port: int, unhealthy: Callable[[], list[str]], metrics: Callable[[], bytes]) -> web.AppRunner:
    """Serve on all addresses; `unhealthy` names what is wrong, an empty list is healthy."""

    async def healthz(_: web.Request) -> web.Response:
        wrong = unhealthy()
        return web.json_response({"healthy": not wrong, "wrong": wrong}, status=503 if wrong else 200)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", exposition)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
