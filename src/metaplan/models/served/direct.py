"""Posts to servers of one's own by `aiohttp`, at a fraction of what a request costs by the SDK.

Hundreds of requests are under way to such a server, and each would cost a millisecond and more of
CPU through the SDK and its HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaplan.models.served.faults import no_connection, refusal

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Direct"]

_FIRST_ERROR = 300
_KEPT_IDLE_S = 4.0  # servers drop idle connections, uvicorn's after five seconds


class Direct:
    """As many connections as there are requests under way; idle ones are used again.

    Args:
        url: The base URL.
        key: None where the server needs none.
        connect_s: Longest time for a connection to be made.
    """

    def __init__(self, url: str, key: str | None, connect_s: float) -> None:
        self._url = f"{url}/chat/completions"
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {key or 'none'}",
            "Content-Type": "application/json",
            "User-Agent": "metaplan",
        }
        self._session = _new_session(connect_s)

    async def post(self, content: bytes) -> bytes:
        """Sends a request's JSON; returns the body of a successful response.

        Raises:
            TimeoutError: No connection was made in time.
            RequestFault: A refusal, or no connection.
        """
        import aiohttp

        try:
            try:
                return await self._post(content)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                return await self._post(content)  # an idle connection was dropped meanwhile
        except TimeoutError:  # some of the client's errors are, too
            raise
        except (aiohttp.ClientError, RuntimeError) as error:  # RuntimeError: it has been closed
            raise no_connection(error) from None

    async def _post(self, content: bytes) -> bytes:
        async with self._session.post(
            self._url, data=content, headers=self._headers, allow_redirects=False
        ) as response:
            body = await response.read()
        if response.status >= _FIRST_ERROR:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise refusal(response.status, body.decode("utf-8", "replace"), headers)
        return body

    async def close(self) -> None:
        """Closes all connections; what is under way on them ends. Safe to call twice."""
        await self._session.close()


def _new_session(connect_s: float) -> ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_IDLE_S),  # `Limit` limits
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
