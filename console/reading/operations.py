"""What operators read: how far the workers are, and what nobody could read."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from console.reading.paging import Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "operations")
_PARTITIONS: Final = Keyset(("topic", "partition"), (str, int))
_LETTERS: Final = Keyset(("id",), (int,))
_MOST: Final = 200
MOST_HOLDS: Final = 1_000
"""More of them are not counted."""
_HEADERS: Final = msgspec.msgpack.Decoder(tuple[tuple[str, bytes | None], ...])


class LetterFilter(NamedTuple):
    """Which dead letters; None leaves a condition out. `error` is a part of the error's text."""

    topic: str | None = None
    status: str | None = None
    error: str | None = None


async def status(connection: Any) -> Mapping[str, Any]:
    """How the workers stand: `backlog` (of `holds` at most 1,001), `dead_letters` by status, `pending_work` and
    `closing_delays` (at most 200 of each), and the last `verification_round` (null: none yet).
    """
    found = {
        "backlog": dict(await connection.fetchrow(_SQL["backlog"], MOST_HOLDS + 1)),
        "dead_letters": await connection.fetch(_SQL["letters"]),
        "pending_work": await connection.fetch(_SQL["pending_work"], _MOST),
        "closing_delays": await connection.fetch(_SQL["closing_delays"], _MOST),
    }
    round_ = await connection.fetchrow(_SQL["verification_round"])
    lists = {name: [dict(row) for row in rows] for name, rows in found.items() if isinstance(rows, list)}
    return found | lists | {"verification_round": None if round_ is None else dict(round_)}


async def partitions(connection: Any, limit: int, cursor: str | None) -> Rows:
    """How far each input partition is applied, and by whom: the columns of `partitions`. Raises as `page`."""
    return await page(connection, _SQL["partitions"], (), _PARTITIONS, limit, cursor)


async def workers(connection: Any) -> list[Mapping[str, Any]]:
    """Processes that have partitions or jobs: the columns of `workers`, at most 200."""
    return list(await connection.fetch(_SQL["workers"], _MOST))


async def lags(connection: Any, sources: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Mapping[str, Any]]:
    """How far these partitions (topic, number) are behind: `lag` in records, `lag_s` in seconds, at most (null: not
    known). Leaves out those whose end nobody has read.
    """
    rows = await connection.fetch(_SQL["lags"], [topic for topic, _ in sources], [number for _, number in sources])
    return {(row["topic"], row["partition"]): row for row in rows}


async def dead_letters(connection: Any, wanted: LetterFilter, limit: int, cursor: str | None) -> Rows:
    """Dead letters without their content, the newest on top: the columns of `dead_letter_list`. Raises as `page`."""
    return await page(
        connection, _SQL["dead_letters"], (wanted.topic, wanted.status, wanted.error), _LETTERS, limit, cursor
    )


async def dead_letter(connection: Any, letter: int) -> Mapping[str, Any] | None:
    """A dead letter with what came, byte for byte: the columns of the function `dead_letter`, with `headers` as pairs
    of name and bytes. It may be personal data.
    """
    row = await connection.fetchrow(_SQL["dead_letter"], letter)
    if row is None:
        return None
    headers = () if row["headers"] is None else _HEADERS.decode(row["headers"])
    return dict(row) | {"headers": headers}


def readable(name: str, raw: bytes | None) -> Mapping[str, str | None]:
    """Bytes as a field for JSON. If they are no UTF-8 they are in Base64, under another name."""
    if raw is None:
        return {name: None}
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw).decode()}
