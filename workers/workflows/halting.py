"""Halts runs with their contact: after a block, or because the contact is merged away or deleted (contract 6).

Call it in the transaction of the command, which locks the contacts for update: no run of theirs starts meanwhile. If
there are more runs than a transaction can halt, the end takes effect at once, and steps publish it run by run.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct, structs

from workers.process.tasks import slices
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, first_change, last_change
from workers.rules.contact import ContactKey
from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import ContactGone, RunKey
from workers.store import pending_work, workflows
from workers.store.connection import Connection
from workers.store.pending_work import Stepped, Work, WorkStep
from workers.store.workflows import After, RunPlace, Span
from workers.workflows.context import People, lock_families
from workers.workflows.ending_children import Spread, halts
from workers.workflows.events import save_and_tell

Origins = Mapping[ContactKey, Record[Any]]

OF_CONTACT: Final = "halt runs"
BELOW: Final = "halt children"
"""The kinds of work; the view `workspaces_behind` names them as well."""

_STILL_RUNNING: Final = datetime.max.replace(tzinfo=UTC)


class _Cursor(Struct, array_like=True):
    """Where the next step begins: after which run of the contact, and below which runs."""

    after: RunPlace | None = None
    below: list[tuple[str, str]] = []


class _Terms(Struct, frozen=True):
    """Covers runs that started before `until`. After another change of the contact's history, the steps ignore that
    change, and cover only runs that were known before it.
    """

    until: datetime | None = None
    change: BlockChange | None = None
    known_before: datetime | None = None


async def rejudge(
    tx: Connection, changes: Mapping[ContactKey, BlockChange], people: People, origins: Origins, now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Judges runs again by changed block histories. Returns how many were halted for each contact, and the events.

    The histories must have been saved; `people` are the contacts with them, as far as they were read. An automatic run
    that started inside a block is refused, not halted, and not in the number.
    """
    spans: dict[ContactKey, Span] = {
        key: (since, last_change(c.before, c.after))
        for key, c in changes.items()
        if (since := first_change(c.before, c.after)) is not None
    }
    if not spans:
        return Counter(), []
    found = await workflows.of_contacts(tx, spans, pending_work.ROWS_AT_ONCE + 1)
    # An earlier change may have steps left. They use the history that it led to, and this change waits for them.
    behind = await pending_work.subjects(tx, OF_CONTACT, [(w, str(contact_id)) for w, contact_id in spans])
    await pending_work.judge_as_before(tx, OF_CONTACT, {about: changes[about[0], UUID(about[1])] for about in behind})
    at_once = {
        contact: runs
        for contact, runs in found.items()
        if len(runs) <= pending_work.ROWS_AT_ONCE and (contact[0], str(contact[1])) not in behind
    }
    ended = _Ended(tx, people, origins, {key: change.command_id for key, change in changes.items()}, spans)
    await ended.load(at_once)
    for contact, runs in at_once.items():
        async for some in slices(runs):
            ended.tell(contact, ended.families.rejudge(some))
    await ended.spread()
    outputs = await ended.save(now)
    for contact in found.keys() - at_once.keys():
        pending = (contact[0], str(contact[1])) in behind
        before = changes[contact].undone(people[contact].intervals) if pending else None
        number = await workflows.count_halts(tx, contact, spans[contact], before)
        await pending_work.add(tx, [_work(contact, changes[contact].command_id, spans[contact], number)])
        ended.halted[contact] += number
    return +ended.halted, outputs


async def end(
    tx: Connection, cuts: Mapping[ContactKey, ContactGone], origins: Origins, now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Halts the unfinished runs of contacts that go away. Returns what `rejudge` returns. A finished run stays as it
    is.
    """
    spans: dict[ContactKey, Span] = dict.fromkeys(cuts, (_STILL_RUNNING, None))
    found = await workflows.of_contacts(tx, spans, pending_work.ROWS_AT_ONCE + 1)
    # Work that is left of a contact comes first: of several ends the first one counts.
    behind = await pending_work.subjects(tx, OF_CONTACT, [(w, str(contact_id)) for w, contact_id in cuts])
    at_once = {
        contact: runs
        for contact, runs in found.items()
        if len(runs) <= pending_work.ROWS_AT_ONCE and (contact[0], str(contact[1])) not in behind
    }
    ended = _Ended(tx, {}, origins, {key: uuid4() for key in cuts})
    await ended.load(at_once)
    for contact, runs in at_once.items():
        ended.tell(contact, ended.families.cut(runs, cuts[contact]))
    await ended.spread()
    outputs = await ended.save(now)
    for contact in sorted(found.keys() - at_once.keys()):
        if found[contact]:
            number, known_before = await workflows.count_running(tx, contact)
            work = _work(contact, uuid4(), spans[contact], number)
            # Until its step, a run that is locked or shown has this end by the query.
            details = {**work.details, "cut": cuts[contact], "known_before": known_before}
            await pending_work.add(tx, [structs.replace(work, details=details)])
            ended.halted[contact] += number
    return +ended.halted, outputs


class _Ended:
    """The results of the ends of contacts' runs in one transaction."""

    def __init__(
        self,
        tx: Connection,
        people: People,
        origins: Origins,
        commands: Mapping[ContactKey, UUID],
        spans: Mapping[ContactKey, Span] = MappingProxyType({}),
    ) -> None:
        self.halted: Counter[ContactKey] = Counter()
        self.families = Families([], {})
        self._tx = tx
        self._people = people
        self._origins = origins
        self._commands = commands
        self._spans = spans
        self._run_events: list[tuple[RunEvent, ContactKey]] = []
        self._cause: dict[RunKey, ContactKey] = {}

    async def load(self, runs: Mapping[ContactKey, Sequence[RunKey]]) -> None:
        contact_of = {run: contact for contact, theirs in runs.items() for run in theirs}
        self.families, caught_up = await lock_families(self._tx, contact_of.keys(), (), self._people)
        for run, run_event in caught_up:
            self.tell(contact_of[run], [run_event])

    def tell(self, contact: ContactKey, run_events: Iterable[RunEvent]) -> None:
        run_events = list(run_events)
        self.halted[contact] += halts(run_events)
        self._run_events += ((run_event, contact) for run_event in run_events)
        self._cause |= dict.fromkeys(self.families.due(), contact)

    async def spread(self) -> None:
        """Applies the ends to the children, and leaves the rest to steps."""
        due = [(run, "") for run in self._cause]
        spread = Spread(self._tx, self.families, self._people, dict(self._cause))
        await spread.run(due, pending_work.ROWS_AT_ONCE)
        for run_event in spread.run_events:
            self.tell(spread.cause[run_event.run], [run_event])
        left: dict[ContactKey, list[After]] = {}
        for run, after in spread.due:
            left.setdefault(spread.cause[run], []).append((run, after))
        for contact, below in left.items():
            number = await self._left(contact, below)
            self.halted[contact] += number
            await pending_work.add(self._tx, [work_below(below, self._commands[contact], number)])

    async def _left(self, contact: ContactKey, below: Sequence[After]) -> int:
        """The number of runs that steps will halt. Nothing is saved yet, so those of this transaction count as well."""
        if contact not in self._spans:
            return await workflows.count_children(self._tx, below)
        number = await workflows.count_halts(self._tx, contact, self._spans[contact])
        return max(0, number - self.halted[contact])

    async def save(self, now: datetime) -> list[Output]:
        events = [(run_event, self._origins[contact]) for run_event, contact in self._run_events]
        return await save_and_tell(self._tx, self.families, events, now)


def _work(contact: ContactKey, command_id: UUID, span: Span, total: int) -> Work:
    since, until = span
    return Work(
        workspace_id=contact[0],
        kind=OF_CONTACT,
        subject=str(contact[1]),
        command_id=command_id,
        details={"until": until},
        cursor=_written(_Cursor(RunPlace(running=False, at=since, run_id=""))),
        total=total,
    )


def work_below(below: Sequence[After], command_id: UUID, total: int) -> Work:
    """The work that is left below runs of one workspace."""
    (workspace_id, run_id), _ = below[0]
    place = _Cursor(None, [(run, after) for (_, run), after in below])
    return Work(
        workspace_id=workspace_id,
        kind=BELOW,
        subject=run_id,
        command_id=command_id,
        cursor=_written(place),
        total=total,
    )


async def run_step(tx: Connection, work: Work, now: datetime) -> Stepped:
    """The next step of an end that was too large for one transaction."""
    place = msgspec.json.decode(work.cursor or "[]", type=_Cursor)
    workspace_id, people = work.workspace_id, People()
    if place.below:
        due: list[After] = [((workspace_id, run), after) for run, after in place.below[: pending_work.STEP]]
        families, caught_up = await lock_families(tx, {run for run, _ in due}, (), people)
        due += ((run, "") for run in families.due())
        del place.below[: pending_work.STEP]
    else:
        contact, after = (workspace_id, UUID(work.subject)), place.after
        terms = msgspec.convert(work.details, _Terms)
        page: list[tuple[RunKey, RunPlace]] = []
        if after is not None:
            page = await workflows.of_contact(tx, contact, after, terms.until, pending_work.STEP, terms.known_before)
        # Not their children: of those that came after the change nobody judges otherwise later.
        before = {run: terms.change for run, _ in page if terms.change is not None}
        families, caught_up = await lock_families(tx, {run for run, _ in page}, (), people, before=before)
        due = [(run, "") for run in families.due()]
        place.after = page[-1][1] if len(page) == pending_work.STEP else None
    spread = Spread(tx, families, people, {run: None for run, _ in due})
    await spread.run(due, pending_work.STEP)
    run_events = [*(run_event for _, run_event in caught_up), *spread.run_events]
    place.below[:0] = [(run, after) for (_, run), after in spread.due]
    outputs = await save_and_tell(
        tx, families, [(run_event, pending_work.origin(now)) for run_event in run_events], now
    )
    more = place.after is not None or bool(place.below)
    return Stepped(outputs, halts(run_events), more=more, cursor=_written(place))


HALT_STEPS: Final[Mapping[str, WorkStep]] = {OF_CONTACT: run_step, BELOW: run_step}


def _written(place: _Cursor) -> str:
    return msgspec.json.encode(place).decode()
