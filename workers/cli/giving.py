"""Gives commands through `contacts.commands`, as every producer does, and waits for their answers in PostgreSQL.

A command whose answer is already there is not given again: with the same ids, a repeat goes on where it ended.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args
from uuid import UUID

import msgspec

from schemas.actors import Actor, Module, Restriction
from schemas.building import CommandHead, command_record
from schemas.fields import Role
from workers.app.database_failures import watching
from workers.app.settings import Settings
from workers.errors import NotPossible, SettingsError, Unreachable
from workers.kafka.command_topic import CommandTopic, command_topic
from workers.store import reports
from workers.store.connection import Connection, transaction_time

MOST_WAITING: Final = 2_000  # commands without an answer: it bounds memory, and how long a query for answers takes
_AT_ONCE: Final = 500
_PAUSE_S, _LONG_PAUSE_S = 0.03, 0.1
_WAIT_S: Final = 30.0
_LONGEST_WAIT_S: Final = 3_600.0


class Unfit(Exception):  # noqa: N818 - about the fields, not about us
    """A command's field does not fit: which one, what came, and what fits."""


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives commands, in which workspace, and how long they wait for an answer, in seconds."""

    workspace_id: str
    actor: Actor
    timeout_s: float


def giver_of(
    workspace: str,
    actor: str,
    role: str,
    module: str | None,
    restrictions: Sequence[str] | None,
    timeout_s: float | None,
) -> Giver:
    """Who gives commands, by the options of the command line.

    Raises:
        SettingsError: a value does not fit.
    """
    waits_s = _WAIT_S if timeout_s is None else timeout_s
    if not 0 < waits_s <= _LONGEST_WAIT_S:
        raise SettingsError(f"--timeout: expected more than 0 and at most {_LONGEST_WAIT_S:g} seconds")
    for option, given, known in (
        ("--role", [role], get_args(Role)),
        ("--module", [module or "api"], get_args(Module)),
        ("--restriction", restrictions or (), get_args(Restriction)),
    ):
        if unknown := [one for one in given if one not in known]:
            raise SettingsError(f"{option}: expected one of {', '.join(known)}, got {unknown[0]!r}")
    head = {"id": actor, "role": role, "module": module or "api", "restrictions": list(restrictions or ()) or None}
    try:
        return Giver(workspace, msgspec.convert(head, Actor), waits_s)
    except msgspec.ValidationError:
        raise SettingsError("--actor: expected an id of 1 to 128 characters") from None


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that was checked, as it travels. `subject` is what the caller knows it by."""

    command_id: UUID
    command: str
    key: bytes
    value: bytes
    subject: Any = None


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What became of a command. `before`: it was already applied, and this run did not give it."""

    asked: Asked
    outcome: str
    reason: str | None
    detail: str | None
    changed: Mapping[str, Any]
    before: bool

    def document(self) -> dict[str, Any]:
        """As on `commands.results`."""
        return {
            "command_id": self.asked.command_id,
            "command": self.asked.command,
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "changed": self.changed,
        }


def asked(
    giver: Giver, command: str, command_id: UUID, issued_at: datetime, fields: Mapping[str, Any], subject: Any = None
) -> Asked:
    """A command with these fields, as on the topic.

    Raises:
        Unfit: see there.
    """
    head = CommandHead(command_id, giver.workspace_id, command, giver.actor, issued_at)
    try:
        record = command_record(head, fields)
    except ValueError as error:
        raise Unfit(str(error)) from None
    return Asked(command_id, command, record.key, record.value, subject)


class Desk:
    """Servers at hand: gives commands and hears their answers."""

    def __init__(self, giver: Giver, connection: Connection, topic: CommandTopic) -> None:
        self.giver = giver
        self.connection = connection
        self._topic = topic

    async def now(self) -> datetime:
        """The database's clock. The clock of this machine may be wrong, and the later of two writes wins."""
        return await transaction_time(self.connection)

    async def answers(self, commands: AsyncIterable[Asked]) -> AsyncIterator[CommandAnswer]:
        """Gives the commands in their order, not more than `MOST_WAITING` ahead of the answers.

        Raises:
            Unreachable: a server does not answer, or no answer came within the time.
            NotPossible: another command has such an id.
        """
        loop = asyncio.get_running_loop()
        coming, waiting, heard_at = aiter(commands), dict[UUID, Asked](), loop.time()
        more = True
        while more or waiting:
            # Many at once or none: each round asks for the answers to all that wait.
            room = min(_AT_ONCE, MOST_WAITING)
            takes = more and len(waiting) + room <= MOST_WAITING
            batch = await _some(coming, room) if takes else []
            more = more and (bool(batch) or not takes)
            fresh = {a.command_id: a for a in batch}
            heard = [answer async for answer in self._known(fresh, before=True)]
            await self._topic.produce([(a.key, a.value) for a in fresh.values()])
            heard += [answer async for answer in self._known(waiting, before=False)]
            waiting |= fresh
            for answer in heard:
                yield answer
            if heard or batch:
                heard_at = loop.time()
            elif waiting and loop.time() - heard_at > self.giver.timeout_s:
                raise Unreachable(_unanswered(list(waiting.values()), self.giver.timeout_s))
            if not batch and waiting:
                await asyncio.sleep(_PAUSE_S if len(waiting) < _AT_ONCE else _LONG_PAUSE_S)

    async def _known(self, waiting: dict[UUID, Asked], *, before: bool) -> AsyncIterator[CommandAnswer]:
        """Takes the commands that have an answer out of `waiting`."""
        if not waiting:
            return
        for row in await reports.command_results(self.connection, self.giver.workspace_id, list(waiting)):
            one = waiting.pop(row["command_id"])
            if row["command"] != one.command:
                raise NotPossible(f"command_id {one.command_id} was already used, for {row['command']}")
            changed = msgspec.json.decode(row["changed"])
            yield CommandAnswer(one, row["outcome"], row["reason"], row["detail"], changed, before)


@asynccontextmanager
async def desk(settings: Settings, giver: Giver) -> AsyncIterator[Desk]:
    """A `Desk`, connected inside the block.

    Raises:
        SetupError, Unreachable: see `explained` and `command_topic`.
    """
    cluster = settings.kafka()
    async with watching(settings) as connection, command_topic(cluster) as topic:
        yield Desk(giver, connection, topic)


async def one_by_one(commands: Sequence[Asked]) -> AsyncIterator[Asked]:
    """The commands of a list, as `Desk.answers` takes them."""
    for command in commands:
        yield command


async def _some(coming: AsyncIterator[Asked], most: int) -> list[Asked]:
    batch: list[Asked] = []
    while len(batch) < most:
        try:
            batch.append(await anext(coming))
        except StopAsyncIteration:
            break
    return batch


def _unanswered(waiting: Sequence[Asked], timeout_s: float) -> str:
    one = len(waiting) == 1
    what = f"command {waiting[0].command_id}" if one else f"{len(waiting):,} commands"
    again = "with the same --command-id to see its answer" if one else "again to go on"
    return (
        f"no answer to {what} within {timeout_s:g} s; is `sluice worker commands` at work? "
        f"It may still come. Give the same {again}"
    )
