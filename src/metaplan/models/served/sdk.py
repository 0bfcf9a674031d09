"""Posts through the `openai` SDK: for public hosts, with TLS and the proxies of the environment."""

from __future__ import annotations

import json

from metaplan.models.served.faults import no_connection, refusal
from metaplan.models.served.settings import is_private

__all__ = ["SDK"]


class SDK:
    """The SDK's client, without its retries.

    Args:
        url: The base URL.
        key: None where the server needs none.
        timeout_s: Longest wait for anything to happen.
        connect_s: Longest time for a connection to be made.
    """

    def __init__(self, url: str, key: str | None, timeout_s: float, connect_s: float) -> None:
        import openai

        timeout = openai.Timeout(timeout_s, connect=connect_s)
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=key or "none",
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                base_url=url,
                timeout=timeout,
                limits=type(openai.DEFAULT_CONNECTION_LIMITS)(),  # none: `Limit` is the limit
                trust_env=not is_private(url),  # proxies are for the world outside
            ),
        )

    async def post(self, content: bytes) -> bytes:
        """Sends a request's JSON; returns the body of a successful response.

        Raises:
            TimeoutError: Nothing happened for too long.
            RequestFault: A refusal, or no connection.
        """
        import openai

        try:
            # `chat.completions.create` copies every message at a cost beyond that of HTTP.
            response = await self._client.post(
                "/chat/completions",
                body=json.loads(content),
                cast_to=openai.HttpxBinaryResponseContent,
            )
        except openai.APIStatusError as error:
            raise refusal(error.status_code, error.response.text, error.response.headers) from None
        except openai.APITimeoutError:
            raise TimeoutError from None
        except openai.APIError as error:
            raise no_connection(error.__cause__ or error) from None
        return response.content

    async def close(self) -> None:
        """Closes the sockets. Safe to call twice."""
        await self._client.close()
