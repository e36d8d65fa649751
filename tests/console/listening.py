"""Reads server-sent events as a browser does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import httpx

_PATIENCE_S: Final = 20.0


class Told(NamedTuple):
    """An event."""

    kind: str
    data: Any


class Listening:
    """A stream. `id`: what a browser would send as `Last-Event-ID`; `status`: of the answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.status = response.status_code
        self.id = ""

    async def next(self, *kinds: str) -> Told:
        """The next event of one of the kinds; of any, if none is named.

        Raises:
            EOFError: the stream ended.
        """
        kind, data = "", ""
        async with asyncio.timeout(_PATIENCE_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    self.id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line and kind and (not kinds or kind in kinds):
                    return Told(kind, json.loads(data))
                elif not line:
                    kind = ""
        raise EOFError("the stream ended")

    async def named(self) -> str:
        """The next id. Raises as `next`."""
        async with asyncio.timeout(_PATIENCE_S):
            async for line in self._lines:
                if line.startswith("id: "):
                    self.id = line[4:]
                    return self.id
        raise EOFError("the stream ended")

    async def end(self) -> None:
        """Returns once the stream has ended."""
        async with asyncio.timeout(_PATIENCE_S):
            async for _ in self._lines:
                pass


@asynccontextmanager
async def listening(client: httpx.AsyncClient, address: str, after: str = "") -> AsyncIterator[Listening]:
    """A stream at an address, after the id of an event. It has begun."""
    headers = {"last-event-id": after} if after else {}
    async with client.stream("GET", address, headers=headers) as response:
        yield Listening(response)
