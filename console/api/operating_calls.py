"""Calls of operators."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from starlette.exceptions import HTTPException

from console import replaying
from console.api.calls import Answer, Asked, Call, Items, Paged, Typed
from console.api.documents import DeadLetter, Partition, Settled, Status
from console.reading import operations
from console.reading.paging import Rows


class LettersQuery(Paged):
    """Only those from one topic, with one status, or with a part of the error's text."""

    topic: Typed | None = None
    status: Literal["new", "replayed", "dismissed"] | None = None
    error: Typed | None = None


async def status(_asked: Asked, connection: Any) -> Mapping[str, Any]:
    """`GET /status`."""
    return await operations.status(connection)


async def partitions(asked: Asked, connection: Any) -> Rows:
    """`GET /partitions`."""
    return await operations.partitions(connection, asked.query.limit, asked.query.cursor)


async def dead_letters(asked: Asked, connection: Any) -> Rows:
    """`GET /dead-letters`."""
    query: LettersQuery = asked.query
    wanted = operations.LetterFilter(query.topic, query.status, query.error)
    return await operations.dead_letters(connection, wanted, query.limit, query.cursor)


async def replay(asked: Asked) -> Answer:
    """`POST /dead-letters/{id}/replay`."""
    return _settled(await replaying.replay(asked.parts, asked.path["letter"]))


async def dismiss(asked: Asked) -> Answer:
    """`POST /dead-letters/{id}/dismiss`."""
    return _settled(await replaying.dismiss(asked.parts, asked.path["letter"]))


def _settled(settled: replaying.Settled | None) -> Answer:
    if settled is None:
        raise HTTPException(404)
    return Answer(settled._asdict())


CALLS: Final = (
    Call("GET", "/status", "How the workers stand.", {200: Status}, read=status, is_for_operators=True),
    Call(
        "GET",
        "/partitions",
        "How far each input partition is applied.",
        {200: Items(Partition)},
        read=partitions,
        query=Paged,
        is_for_operators=True,
    ),
    Call(
        "GET",
        "/dead-letters",
        "Dead letters, the newest first.",
        {200: Items(DeadLetter)},
        read=dead_letters,
        query=LettersQuery,
        is_for_operators=True,
    ),
    Call(
        "POST",
        "/dead-letters/{letter}/replay",
        "Produce the record to its topic again.",
        {200: Settled},
        do=replay,
        is_for_operators=True,
    ),
    Call(
        "POST",
        "/dead-letters/{letter}/dismiss",
        "Say that nothing is to be done.",
        {200: Settled},
        do=dismiss,
        is_for_operators=True,
    ),
)
