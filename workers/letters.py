"""What `sluice dead-letters` does: looks, sends records through the front door again, or leaves them alone."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from workers.errors import SettingsError
from workers.explaining import connected
from workers.reporting import Report, reading
from workers.runtime.batch import Connection
from workers.runtime.replaying import Replayer, replayer
from workers.settings import Settings
from workers.store import dead_letters
from workers.store.dead_letters import REPLAY_HEADER, StoredLetter, Wanted

Choice = Sequence[int] | Wanted
"""Letters by their ids, or those that meet conditions."""


class Outcome(NamedTuple):
    """What became of a letter; `reason` says why nothing did."""

    id: int
    source: str
    outcome: str
    reason: str = ""


async def listed(settings: Settings, wanted: Wanted) -> Report:
    """The letters without their content."""
    async with reading(settings) as tx:
        return Report({"dead letters": await dead_letters.listed(tx, wanted)}, hint="There is no such dead letter.")


async def shown(settings: Settings, identity: int) -> StoredLetter:
    """One letter.

    Raises:
        SettingsError: there is none with that id.
    """
    async with reading(settings) as tx:
        letter = await dead_letters.read(tx, identity)
    if letter is None:
        raise SettingsError(f"there is no dead letter {identity}")
    return letter


def described(letter: StoredLetter) -> dict[str, Any]:
    """What may be shown to anybody who may see that the letter exists."""
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
    """Key and value: they may be about a person. What is no UTF-8 is in Base64, and named so."""
    return _readable("key", letter.key) | _readable("value", letter.value)


def _readable(name: str, raw: bytes | None) -> dict[str, str | None]:
    if raw is None:
        return {name: None}
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw).decode()}


async def previewed(settings: Settings, choice: Choice) -> list[Outcome]:
    """What `replayed` would do."""
    async with reading(settings) as tx:
        letters = [(identity, await dead_letters.read(tx, identity)) for identity in await _chosen(tx, choice)]
    return [_refused(identity, letter) or _outcome(letter, "would be replayed") for identity, letter in letters]


async def replayed(settings: Settings, choice: Choice, per_second: float) -> list[Outcome]:
    """Produces the records to the topics they came from, so many each second.

    Raises:
        SetupError, Unreachable: a server is gone or refuses; letters before this one are replayed, and say so.
    """
    async with connected(settings, "dead-letters") as connection, replayer(settings.kafka()) as output:
        chosen = await _chosen(connection, choice)
        return [await _replay(connection, output, identity) async for identity in _paced(chosen, per_second)]


async def _paced(identities: Sequence[int], per_second: float) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number, identity in enumerate(identities):
        await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
        yield identity


async def _replay(connection: Connection, output: Replayer, identity: int) -> Outcome:
    async with connection.transaction():
        # Locked until it is marked: a worker may find the record bad again before we have heard that it was produced.
        letter = await dead_letters.locked(connection, identity)
        refused = _refused(identity, letter)
        if refused or letter is None or letter.value is None:
            return refused or Outcome(identity, "", "not replayed")
        headers = [*letter.headers, (REPLAY_HEADER, str(identity).encode())]
        await output.produce(letter.source, letter.key, letter.value, headers)
        await dead_letters.mark_replayed(connection, identity)
    return _outcome(letter, "replayed")


async def to_dismiss(settings: Settings, choice: Choice) -> list[Outcome]:
    """What `dismissed` would do."""
    async with reading(settings) as tx:
        letters = [(identity, await dead_letters.read(tx, identity)) for identity in await _chosen(tx, choice)]
    return [_outcome(letter, "would be dismissed") if letter else _unknown(identity) for identity, letter in letters]


async def dismissed(settings: Settings, choice: Choice) -> list[Outcome]:
    """Marks letters that may be left alone: they do not count any more when the line is about to stop."""
    outcomes = []
    async with connected(settings, "dead-letters") as connection, connection.transaction():
        for identity in await _chosen(connection, choice):
            letter = await dead_letters.locked(connection, identity)
            if letter is not None:
                await dead_letters.mark_dismissed(connection, identity)
            outcomes.append(_outcome(letter, "dismissed") if letter else _unknown(identity))
    return outcomes


async def _chosen(connection: Connection, choice: Choice) -> list[int]:
    if isinstance(choice, Wanted):
        return [row["id"] for row in await dead_letters.listed(connection, choice)]
    return sorted(set(choice))


def _refused(identity: int, letter: StoredLetter | None) -> Outcome | None:
    if letter is None:
        return _unknown(identity)
    reason = _refusal(letter)
    return Outcome(identity, _source(letter), "not replayed", reason) if reason else None


def _refusal(letter: StoredLetter) -> str | None:
    if letter.erased:
        return "impossible: its content was erased"
    return "impossible: its value was null, or too large to keep" if letter.value is None else None


def _unknown(identity: int) -> Outcome:
    return Outcome(identity, "", "nothing done", "there is no such dead letter")


def _outcome(letter: StoredLetter | None, outcome: str) -> Outcome:
    return Outcome(letter.id, _source(letter), outcome) if letter else Outcome(0, "", outcome)


def _source(letter: StoredLetter) -> str:
    return f"{letter.source.topic}/{letter.source.partition}/{letter.offset}"
