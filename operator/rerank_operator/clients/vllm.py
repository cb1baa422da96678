"""vLLM's rerank routes, called the way Milvus calls them."""

from typing import Any, Final, Self

import httpx

from rerank_operator.clients.errors import ClientError

# Milvus gives up after 30 seconds, so an answer that takes longer is no answer.
TIMEOUT_SECONDS: Final = 30.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
# The largest batch with its documents repeated is a tenth of that; more would only fill the operator's memory.
MOST_BYTES: Final = 32 << 20


class EndpointUnreachable(ClientError):  # noqa: N818
    """No HTTP answer: refused, timed out, or broken off."""


class NoAnswerInTime(EndpointUnreachable):
    """The request was sent, and no answer came within Milvus's own limit."""


class VllmClient:
    """HTTP client for model pods."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def connect(cls) -> Self:
        """A client without proxies and redirects: pods are called directly, and Milvus does not follow a 302."""
        # Connections to pods are not kept: a kept one holds a draining pod back.
        limits = httpx.Limits(max_keepalive_connections=0)
        return cls(httpx.AsyncClient(limits=limits, trust_env=False, follow_redirects=False))

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()

    async def post(
        self,
        base_url: str,
        route: str,
        body: dict[str, Any],
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - httpx keeps the time, and tells which phase took it
    ) -> tuple[int, bytes]:
        """Status and body of `POST base_url/route`, with a bearer key where one is given.

        Raises NoAnswerInTime after `timeout` seconds, EndpointUnreachable when there is no answer for another reason.
        """
        return await self._send("POST", base_url, route, body, key, timeout)

    async def get(self, base_url: str, route: str, key: str | None = None) -> tuple[int, bytes]:
        """Status and body of `GET base_url/route`; raises the same."""
        return await self._send("GET", base_url, route, None, key, TIMEOUT_SECONDS)

    async def _send(
        self, method: str, base_url: str, route: str, body: Any, key: str | None, seconds: float
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        limit = httpx.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_SECONDS))
        what = f"{method} {base_url}{route}"
        try:
            async with self._http.stream(
                method, base_url + route, json=body, headers=headers, timeout=limit
            ) as response:
                return response.status_code, await _read(response, what)
        except httpx.ReadTimeout as error:
            raise NoAnswerInTime(f"{what}: no answer within {seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EndpointUnreachable(f"{what}: {error or type(error).__name__}") from error


async def _read(response: httpx.Response, what: str) -> bytes:
    """The body; raises EndpointUnreachable for one that does not end."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise EndpointUnreachable(f"{what}: the answer is longer than {MOST_BYTES >> 20} MiB")
    return bytes(body)
