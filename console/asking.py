"""Gives commands and asks for sends through the topics, as every producer does; waits for the answers in PostgreSQL.

All that wait are asked for together: one statement for each kind of answer, however many requests there are.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.actors import Actor
from schemas.building import CommandHead, Record, command_record
from workers.errors import SetupError
from workers.process import production
from workers.process.postgres import AWAY, Postgres
from workers.process.production import Produced, Production
from workers.process.queries import statements
from workers.process.tasks import ended

UNANSWERED: Final = (*AWAY, *production.AWAY, SetupError)
"""A server did not answer, or refused. What was produced may be in its topic."""
_SQL: Final = statements("console", "asking")
_LOOK_S: Final = 0.03
_TURN: Final = 2_000
Key = tuple[str, UUID]


class OtherCommand(Exception):  # noqa: N818 - a state of the id
    """The id was already used for another command."""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What became of a command, as on `commands.results`."""

    command_id: UUID
    command: str
    outcome: str
    reason: str | None
    detail: str | None
    changed: Mapping[str, Any]

    @property
    def is_done(self) -> bool:
        """Whether it was carried out; otherwise it was refused."""
        return self.outcome == "done"


class _Answers:
    """Rows that somebody waits for, by workspace and id."""

    def __init__(self, postgres: Postgres, statement: str, id_column: str) -> None:
        self._postgres = postgres
        self._statement = statement
        self._id = id_column
        self._waiting: dict[Key, set[asyncio.Future[Mapping[str, Any]]]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def now(self, key: Key) -> Mapping[str, Any] | None:
        """The row, if it is there."""
        return next(iter((await self._rows([key])).values()), None)

    async def within(self, key: Key, seconds: float) -> Mapping[str, Any] | None:
        """The row, once it is there; None if it is not there in time."""
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name=f"answers of {self._id}")
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            self._forget(key, future)

    async def stop(self) -> None:
        """Ends the waiting."""
        await ended(self._looking)

    def _forget(self, key: Key, future: asyncio.Future[Mapping[str, Any]]) -> None:
        waiting = self._waiting.get(key, set())
        waiting.discard(future)
        if not waiting:
            self._waiting.pop(key, None)

    async def _look(self) -> None:
        """Runs while somebody waits. A database that is away fails all that wait."""
        while self._waiting:
            try:
                found = await self._rows(list(self._waiting)[:_TURN])
            except (*AWAY, SetupError) as error:
                for future in [one for waiting in self._waiting.values() for one in waiting]:
                    if not future.done():
                        future.set_exception(error)
                return
            for key, row in found.items():
                for future in self._waiting.pop(key, set()):
                    if not future.done():
                        future.set_result(row)
            await asyncio.sleep(_LOOK_S)

    async def _rows(self, keys: list[Key]) -> dict[Key, Mapping[str, Any]]:
        rows = await self._postgres.fetch(self._statement, [w for w, _ in keys], [i for _, i in keys])
        return {(row["workspace_id"], row[self._id]): row for row in rows}


class Asking:
    """Gives commands and asks for sends. Methods raise as `Postgres` and `Production.produce` if a server is away."""

    def __init__(self, postgres: Postgres, production: Production) -> None:
        self._postgres = postgres
        self._production = production
        self._results = _Answers(postgres, _SQL["results"], "command_id")
        self._sends = _Answers(postgres, _SQL["sends"], "send_id")

    async def stop(self) -> None:
        """Ends the waiting."""
        await self._results.stop()
        await self._sends.stop()

    async def now(self) -> datetime:
        """The database's clock: this machine's may be wrong, and the later of two writes wins."""
        [(now,)] = await self._postgres.fetch(_SQL["now"])
        moment: datetime = now
        return moment

    async def command(
        self, workspace_id: str, actor: Actor, command: str, command_id: UUID, fields: Mapping[str, Any], wait_s: float
    ) -> CommandAnswer | None:
        """Gives a command, unless its answer is there already, and waits for the answer; None if none came in time.

        Raises:
            ValueError: a field does not fit; the text says which, and what was expected.
            OtherCommand: see there.
        """
        head = CommandHead(command_id, workspace_id, command, actor, await self.now())
        record = command_record(head, fields)
        answer = await self.result(workspace_id, command_id)
        if answer is None:
            await self._production.produce([Produced(record)])
            row = await self._results.within((workspace_id, command_id), wait_s)
            answer = None if row is None else _answer(row)
        if answer is not None and answer.command != command:
            raise OtherCommand(f"the id {command_id} was already used, for {answer.command}")
        return answer

    async def result(self, workspace_id: str, command_id: UUID) -> CommandAnswer | None:
        """The answer to a command, if it is there."""
        row = await self._results.now((workspace_id, command_id))
        return None if row is None else _answer(row)

    async def send(self, workspace_id: str, send_id: UUID, record: Record, wait_s: float) -> Mapping[str, Any] | None:
        """Asks for a send, and waits for its first status; None if none came in time. A send that is known already is
        not asked for again.
        """
        known = await self._sends.now((workspace_id, send_id))
        if known is not None:
            return known
        await self._production.produce([Produced(record)])
        return await self._sends.within((workspace_id, send_id), wait_s)


def _answer(row: Mapping[str, Any]) -> CommandAnswer:
    return CommandAnswer(
        row["command_id"], row["command"], row["outcome"], row["reason"], row["detail"], row["changed"] or {}
    )
