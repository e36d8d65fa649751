"""The simulator: the APIs of all channels under `/api/{workspace_id}/{channel_id}`, and phones for people."""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from connectors.provider import Answer, Channel
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.phones import Phones, Shown
from connectors.simulator.played import ApiRequest, Report, Said, Taken, played

FAULTS: Final = ("throttled", "broken", "stopped", "refused", "timeout", "reset")
"""`timeout`: takes the message and never answers. `reset`: takes it, and closes the connection."""
_DELIVERED_AFTER_S: Final = 0.3
_READ_AFTER_S: Final = 1.0
_SILENT_S: Final = 600.0
_LOOK_S: Final = 0.2
_MOST_FAULTS: Final = 10_000
_MOST_KEYS: Final = 100_000
_LARGEST: Final = 4 * 1024 * 1024
_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")


class Simulator:
    """Plays the providers of these channels. `reports`: whether it reports `delivered` and `read`."""

    def __init__(self, channels: Sequence[Channel], deliveries: Deliveries, *, reports: bool = True) -> None:
        self._channels = {(channel.workspace_id, channel.channel_id): channel for channel in channels}
        self._played = {channel.provider.name: played(channel.provider) for channel in channels}
        self._deliveries = deliveries
        self._reports = reports
        self._numbers = count(time.time_ns() // 1_000_000)
        self._faults: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_MOST_FAULTS))
        self._tasks: set[asyncio.Task[None]] = set()
        self._keys: dict[tuple[str, str], Taken] = {}
        self.phones = Phones()
        self.calls = 0
        """Calls of all APIs."""
        place = "{workspace_id}/{channel_id}"
        self.app = Starlette(
            routes=[
                Route("/", self._page, methods=["GET"]),
                Route("/phones", self._shown, methods=["GET"]),
                Route("/events", self._events, methods=["GET"]),
                Route(f"/say/{place}", self._say, methods=["POST"]),
                Route(f"/faults/{place}", self._fault, methods=["POST"]),
                Route(f"/api/{place}/{{path:path}}", self._api, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    async def stop(self) -> None:
        """Ends reports that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, channel: Channel, sender: str, text: str, name: str | None = None) -> None:
        """A person writes on a phone."""
        said = Said(sender, text, name, next(self._numbers), datetime.now(UTC))
        shown = Shown(said.number, from_person=True, text=text, status="sending", at=said.at)
        self.phones.add(channel.place, sender, shown)
        webhook = self._played[channel.provider.name].say(channel, said)

        def told(taken: bool) -> None:  # noqa: FBT001
            self.phones.update(shown, "received" if taken else "lost")

        self._deliveries.deliver(channel, webhook, told)

    def schedule(self, channel: Channel, fault: str, times: int) -> None:
        """The next calls of a channel go wrong."""
        self._faults[channel.place].extend([fault] * times)

    async def _api(self, request: Request) -> Response:
        channel = self._channel(request)
        if channel is None:
            return Response(status_code=404)
        self.calls += 1
        provider = self._played[channel.provider.name]
        faults = self._faults[channel.place]
        fault = faults.popleft() if faults else None
        if fault in provider.faults:
            return _response(provider.faults[fault])  # type: ignore[index]
        told = ApiRequest(
            request.method,
            "/" + request.path_params["path"],
            request.scope["query_string"].decode("latin-1"),
            request.headers,
            await request.body(),
        )
        number = next(self._numbers)
        try:
            taken = provider.take(channel, told, number)
        except (LookupError, TypeError, ValueError, AttributeError):
            return Response("The simulator cannot read this request.", status_code=400)
        if isinstance(taken, Answer):
            return _response(taken)
        if provider.repeat is not None:
            first = self._first(channel, provider.repeat.key(told), taken)
            if first is not taken:
                return _response(provider.repeat.answer(first))
        self._take(channel, taken, number)
        if fault == "timeout":
            await asyncio.sleep(_SILENT_S)
        if fault == "reset":
            raise ConnectionResetError("as asked")
        return _response(taken.answer)

    def _first(self, channel: Channel, key: str, taken: Taken) -> Taken:
        """What was taken first under this key."""
        if len(self._keys) >= _MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        return self._keys.setdefault((channel.place, key), taken)

    def _take(self, channel: Channel, taken: Taken, number: int) -> None:
        shown = Shown(number, from_person=False, text=taken.text, status="taken", at=datetime.now(UTC))
        self.phones.add(channel.place, taken.recipient, shown)
        if self._reports:
            task = asyncio.create_task(self._report(channel, taken, shown))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _report(self, channel: Channel, taken: Taken, shown: Shown) -> None:
        steps: tuple[tuple[Report, float], ...] = (("delivered", _DELIVERED_AFTER_S), ("read", _READ_AFTER_S))
        for what, pause_s in steps:
            await asyncio.sleep(pause_s)
            webhook = self._played[channel.provider.name].report(channel, taken, what, datetime.now(UTC))
            self.phones.update(shown, what)
            if webhook is not None:
                self._deliveries.deliver(channel, webhook)

    async def _say(self, request: Request) -> Response:
        channel = self._channel(request)
        told = await _json(request)
        if channel is None or told is None:
            return Response(status_code=404 if channel is None else 400)
        sender, text, name = told.get("from"), told.get("text"), told.get("name")
        if not isinstance(sender, str) or not sender or not isinstance(text, str):
            return Response('Expected {"from": address, "text": text, "name": optional}.', status_code=400)
        try:
            self.say(channel, sender, text, name if isinstance(name, str) else None)
        except (ValueError, TypeError):
            return Response(f"This is no address of {channel.provider.name}.", status_code=400)
        return Response(status_code=202)

    async def _fault(self, request: Request) -> Response:
        channel = self._channel(request)
        told = await _json(request)
        if channel is None or told is None:
            return Response(status_code=404 if channel is None else 400)
        fault, times = told.get("fault"), told.get("times", 1)
        known = [*self._played[channel.provider.name].faults, "timeout", "reset"]
        if fault not in known or not isinstance(times, int) or not 0 < times <= _MOST_FAULTS:
            return Response(f"Expected `fault` of {', '.join(known)}, and `times`.", status_code=400)
        self.schedule(channel, fault, times)
        return Response(status_code=202)

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(files(__package__).joinpath("page.html").read_text(encoding="utf-8"), headers=_PAGE)

    async def _shown(self, _request: Request) -> Response:
        return JSONResponse(self._document())

    async def _events(self, request: Request) -> Response:
        async def changes() -> AsyncIterator[str]:
            seen = -1
            while not await request.is_disconnected():
                if seen != self.phones.changes:
                    seen = self.phones.changes
                    yield f"data: {json.dumps(self._document())}\n\n"
                await asyncio.sleep(_LOOK_S)

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    def _document(self) -> dict[str, Any]:
        return {
            "channels": [
                {"place": channel.place, "provider": channel.provider.name, "kind": channel.kind, "name": channel.name}
                for channel in self._channels.values()
            ],
            "phones": self.phones.document(),
            "faults": list(FAULTS),
        }

    def _channel(self, request: Request) -> Channel | None:
        place = request.path_params
        return self._channels.get((place["workspace_id"], place["channel_id"]))


_PAGE: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def _response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


async def _json(request: Request) -> dict[str, Any] | None:
    """The JSON object of a request that a page of another site cannot have made."""
    local = request.headers.get("host", "").rpartition(":")[0] in _LOCAL
    if not local or request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    if int(request.headers.get("content-length", "0")) > _LARGEST:
        return None
    try:
        told = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
