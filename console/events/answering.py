"""The answer to a request for events: the same for the API and for pages."""

from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from console.access import digest
from console.events.streams import Events, Stream
from console.person import Person

_HEADERS: Final = {"x-accel-buffering": "no", "cache-control": "no-store"}  # no proxy may collect events


class EventsAnswer(StreamingResponse):
    """A stream of the workspace's events after the header `Last-Event-ID` or the parameter `after`. It ends with
    `secret`, the session or token.

    Raises:
        HTTPException: 429 or 503, there are too many streams.
    """

    def __init__(self, request: Request, events: Events, person: Person, workspace_id: str, secret: str) -> None:
        events.refuse_more(person)
        self._events = events
        self._stream = Stream(person, workspace_id, digest(secret), request.scope["extensions"]["connection"]["abort"])
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        super().__init__(events.told(self._stream, after), media_type="text/event-stream", headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            self._stream.end()  # the answer has no body that would come later
        with self._events.joined(self._stream):
            await super().__call__(scope, receive, send)
