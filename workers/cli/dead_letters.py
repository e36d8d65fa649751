"""Queries and actions of `sluice dead-letters`: list, show, replay through the input topic, dismiss."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.app.database_failures import connected, reading
from workers.app.settings import Settings
from workers.cli.reports import Report
from workers.errors import NotFound
from workers.rules.letters import REPLAY_HEADER, why_not_replayed
from workers.store import dead_letters
from workers.store.connection import Connection
from workers.store.dead_letters import LetterFilter, StoredLetter

if TYPE_CHECKING:
    from workers.kafka.replaying import Replayer

Choice = Sequence[int] | LetterFilter
"""Dead letters by id, or by conditions."""


class LetterOutcome(NamedTuple):
    """The result for a dead letter; `reason` says why nothing was done."""

    id: int
    source: str
    outcome: str
    reason: str = ""


async def listed(settings: Settings, wanted: LetterFilter) -> Report:
    """The dead letters without their content."""
    async with reading(settings) as tx:
        rows = await dead_letters.listed(tx, wanted)
        details = ("first_seen", "attempts", "content", *([] if wanted.status is None else ["status"]))
        return Report({"dead letters": rows}, hint="There is no such dead letter.", details=details, limit=wanted.limit)


async def shown(settings: Settings, identity: int) -> StoredLetter:
    """One dead letter.

    Raises:
        NotFound: there is none with that id.
    """
    async with reading(settings) as tx:
        letter = await dead_letters.read(tx, identity)
    if letter is None:
        raise NotFound(f"there is no dead letter {identity}")
    return letter


def described(letter: StoredLetter) -> dict[str, Any]:
    """The fields for every reader of dead letters."""
    return {
        "id": letter.id,
        "source": _source(letter),
        "error": letter.error,
        "status": letter.status,
        "attempts": letter.attempts,
        "first_seen": letter.first_seen,
        "replay": _refusal(letter) or "possible",
        "headers": [{"name": name, **_readable("value", value)} for name, value in letter.headers],
    }


def content(letter: StoredLetter) -> dict[str, str | None]:
    """Key and value, which may be personal data. Bytes that are not UTF-8 are in Base64, with another name."""
    return _readable("key", letter.key) | _readable("value", letter.value)


def _readable(name: str, raw: bytes | None) -> dict[str, str | None]:
    if raw is None:
        return {name: None}
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw).decode()}


async def previewed(settings: Settings, choice: Choice) -> list[LetterOutcome]:
    """What `replayed` would do."""
    async with reading(settings) as tx:
        letters = [(identity, await dead_letters.read(tx, identity)) for identity in await _chosen(tx, choice)]
    return [_refused(identity, letter) or _outcome(letter, "would be replayed") for identity, letter in letters]


async def replayed(settings: Settings, choice: Choice, per_second: float) -> list[LetterOutcome]:
    """Produces the records to the topics they came from, at that rate per second.

    Raises:
        SetupError, Unreachable: a server does not answer or refuses; earlier records are replayed and marked.
    """
    from workers.kafka.replaying import replayer

    async with connected(settings, "dead-letters") as connection, replayer(settings.kafka()) as output:
        chosen = await _chosen(connection, choice)
        return [await _replay(connection, output, identity) async for identity in _paced(chosen, per_second)]


async def _paced(identities: Sequence[int], per_second: float) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number, identity in enumerate(identities):
        await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
        yield identity


async def _replay(connection: Connection, output: "Replayer", identity: int) -> LetterOutcome:
    async with connection.transaction():
        # Locked until it is marked: a worker may find the record bad again before the acknowledgement arrives here.
        letter = await dead_letters.locked(connection, identity)
        refused = _refused(identity, letter)
        if refused or letter is None or letter.value is None:
            return refused or LetterOutcome(identity, "", "not replayed")
        headers = [*letter.headers, (REPLAY_HEADER, str(identity).encode())]
        await output.produce(letter.source, letter.key, letter.value, headers)
        await dead_letters.settle(connection, identity, "replayed")
    return _outcome(letter, "replayed")


async def to_dismiss(settings: Settings, choice: Choice) -> list[LetterOutcome]:
    """What `dismissed` would do."""
    async with reading(settings) as tx:
        letters = [(identity, await dead_letters.read(tx, identity)) for identity in await _chosen(tx, choice)]
    return [_outcome(letter, "would be dismissed") if letter else _unknown(identity) for identity, letter in letters]


async def dismissed(settings: Settings, choice: Choice) -> list[LetterOutcome]:
    """Marks dead letters as dismissed: they do not count for the bad-record limit any more."""
    outcomes = []
    async with connected(settings, "dead-letters") as connection, connection.transaction():
        for identity in await _chosen(connection, choice):
            letter = await dead_letters.locked(connection, identity)
            if letter is not None:
                await dead_letters.settle(connection, identity, "dismissed")
            outcomes.append(_outcome(letter, "dismissed") if letter else _unknown(identity))
    return outcomes


async def _chosen(connection: Connection, choice: Choice) -> list[int]:
    if isinstance(choice, LetterFilter):
        return [row["id"] for row in await dead_letters.listed(connection, choice)]
    return sorted(set(choice))


def _refused(identity: int, letter: StoredLetter | None) -> LetterOutcome | None:
    if letter is None:
        return _unknown(identity)
    reason = _refusal(letter)
    return LetterOutcome(identity, _source(letter), "not replayed", reason) if reason else None


def _refusal(letter: StoredLetter) -> str | None:
    return why_not_replayed(letter.error, letter.value, is_erased=letter.erased)


def _unknown(identity: int) -> LetterOutcome:
    return LetterOutcome(identity, "", "nothing done", "there is no such dead letter")


def _outcome(letter: StoredLetter | None, outcome: str) -> LetterOutcome:
    return LetterOutcome(letter.id, _source(letter), outcome) if letter else LetterOutcome(0, "", outcome)


def _source(letter: StoredLetter) -> str:
    return f"{letter.source.topic}/{letter.source.partition}/{letter.offset}"
