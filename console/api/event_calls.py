"""The call that tells what happens."""

from typing import Final

from starlette.responses import Response

from console.api.calls import Asked, Call, Query, Typed
from console.events.answering import EventsAnswer


class EventsQuery(Query):
    """`after`: in place of the header `Last-Event-ID`."""

    after: Typed | None = None


async def events(asked: Asked) -> Response:
    """`GET …/events`."""
    return EventsAnswer(asked.request, asked.parts.events, asked.person, asked.workspace, asked.token)


CALLS: Final = (
    Call(
        "GET",
        "/workspaces/{workspace}/events",
        "Holds, results, blocks, cycles, messages, as they happen: server-sent events.",
        {200: "text/event-stream"},
        do=events,
        query=EventsQuery,
        headers=(("Last-Event-ID", "", "The events after this one; by default those from now on."),),
    ),
)
