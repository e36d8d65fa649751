"""Server-sent events: who gets which, from where they go on, and what ends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.acceptance.scenes import hold
from tests.console.running import Member, Team


class Told(NamedTuple):
    """An event; `id` is the last one that was known when the event was complete, or right after it."""

    kind: str
    data: Any


class Listening:
    """A stream that is read as a browser does."""

    def __init__(self, response: Any) -> None:
        self._lines = response.aiter_lines()
        self.id = ""

    async def next(self, *kinds: str) -> Told:
        """The next event of one of the kinds."""
        kind, data = "", ""
        async with asyncio.timeout(20):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    self.id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line and kind:
                    if kind in kinds:
                        return Told(kind, json.loads(data))
                    kind = ""
        raise EOFError("the stream ended")

    async def named(self) -> str:
        """The id of this moment."""
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line.startswith("id: "):
                    self.id = line[4:]
                    return self.id
        raise EOFError("the stream ended")


@asynccontextmanager
async def listening_to(member: Member, **headers: str) -> AsyncIterator[Listening]:
    async with member.pages.stream("GET", member.at("events"), headers=headers) as response:
        assert response.status_code == 200, response.status_code
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listening(response)


async def test_a_hold_is_told_without_its_text(team: Team) -> None:
    async with listening_to(team.agent) as listening:
        send = await hold(team.workspace, content={"type": "text", "text": "an offer"})
        told = await listening.next("holds")

    assert told.data["send_id"] == send["send_id"]
    assert told.data["status"] == "held"
    assert "an offer" not in json.dumps(told.data)
