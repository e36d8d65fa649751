"""`sluice mac export`: who counts in a cycle, with proof and adjustments, or a closed cycle as usage events."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from workers.app.database_failures import reading, reading_much
from workers.app.settings import Settings
from workers.cli import reports, terminal
from workers.cli.mac import require_cycle
from workers.cli.mac_rows import Rows, TextFile, TextRows, lock, writing
from workers.cli.progress_line import Progress
from workers.errors import NotPossible, SettingsError
from workers.rules import usage_events
from workers.rules.mac_sheet import CycleName
from workers.rules.usage_events import AdjustmentBatch, ClosedCycle, Meter, Refusal
from workers.store import billing_reports
from workers.store.connection import Connection, transaction_time

if TYPE_CHECKING:
    from workers.cli.mac_parquet import ParquetFile

RowFormat = Literal["csv", "jsonl", "parquet"]

_AT_ONCE: Final = 10_000  # rows
_TOLD: Final = ("workspace_id", "cycle_start", "cycle_end", "status", "active_contacts", "adjustments")


@dataclass(frozen=True, slots=True)
class RowsWanted:
    """Rows of a cycle, in which form, and where: None is standard output."""

    cycle: CycleName
    kind: RowFormat
    output: Path | None
    resume: bool


@dataclass(frozen=True, slots=True)
class EventsWanted:
    """Usage events of a closed cycle. `since`: only what became known from then on."""

    cycle: CycleName
    meter: Meter
    dated: usage_events.Dated
    since: datetime | None
    output: Path | None


async def rows(settings: Settings, wanted: RowsWanted) -> dict[str, Any]:
    """Writes the rows; returns what was written.

    Raises:
        NotFound: there is no such workspace or cycle.
        NotPossible: an earlier part is in the way or cannot be continued, or the rows do not come to the count.
        SettingsError: the file cannot be written, or pyarrow is missing.
    """
    of = (wanted.cycle.workspace_id, wanted.cycle.cycle_start)
    async with reading_much(settings) as connection:
        row = await _cycle(connection, wanted.cycle)
        closed = row["status"] == "closed"
        if wanted.resume and not closed:
            raise NotPossible(
                "this cycle is open, and what was exported before may have changed: export it again without --resume"
            )
        with _place(wanted, closed=closed) as place:
            if closed:  # its contacts never change: no transaction keeps the server from cleaning up meanwhile
                await _add_contacts(connection, wanted.cycle, place, row["active_contacts"])
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                row = await billing_reports.cycle(connection, *of)
                if not closed:
                    await _add_contacts(connection, wanted.cycle, place, row["active_contacts"])
                amount, adjustments = await _add_adjustments(connection, wanted.cycle, place)
            if (place.contacts, amount) != (row["active_contacts"], row["adjustments"]):
                raise _Unequal(
                    f"there are {place.contacts:,} contacts and adjustments of {amount:+,}, where the count says "
                    f"{row['active_contacts']:,} and {row['adjustments']:+,}: `sluice mac verify` names the difference"
                )
            place.finish()
    return {name: row[name] for name in _TOLD} | {"rows": place.contacts + adjustments}


class _Unequal(NotPossible):
    """The rows that were written are not what the count says."""


async def _add_contacts(connection: Connection, name: CycleName, place: Rows, total: int) -> None:
    """Writes those that are not there yet."""
    progress = Progress("contacts", total)
    pages = billing_reports.contacts(connection, name.workspace_id, name.cycle_start, place.last, _AT_ONCE)
    async for page in pages:
        place.add_contacts(page)
        progress.show(place.contacts)
    progress.show(place.contacts, end=True)


async def _add_adjustments(connection: Connection, name: CycleName, place: Rows) -> tuple[int, int]:
    """Writes all; returns their sum and number."""
    amount, adjustments = 0, 0
    async for page in billing_reports.adjustments(connection, name.workspace_id, name.cycle_start, _AT_ONCE):
        place.add_adjustments(page)
        amount += sum(row["amount"] for row in page)
        adjustments += len(page)
    return amount, adjustments


async def _cycle(tx: Connection, name: CycleName) -> Mapping[str, Any]:
    await require_cycle(tx, name.workspace_id, name.cycle_start)
    return await billing_reports.cycle(tx, name.workspace_id, name.cycle_start)


@contextmanager
def _place(wanted: RowsWanted, *, closed: bool) -> Iterator[Rows]:
    """Where the rows go. A part of a closed cycle outlives a failure, as it can be continued."""
    if wanted.output is None:
        if wanted.kind == "parquet":
            raise SettingsError("parquet needs --out: standard output takes lines only")
        lines = TextRows(wanted.cycle, wanted.kind, _Printed())
        lines.begin()
        yield lines
        return
    # What an open cycle had is never continued, not even if it has closed meanwhile: so its part has another name.
    part = wanted.output.with_name(f"{wanted.output.name}.{'part' if closed else 'open-part'}")
    if closed and part.exists() and not wanted.resume:
        raise NotPossible(f"{part} is left of an export that did not end: go on with --resume, or remove it")
    kept = closed
    try:
        with _part(wanted, wanted.output, part) as rows:
            if closed:
                rows.go_on()
            else:
                rows.begin()
            yield rows
    except _Unequal:
        kept = False
        raise
    finally:
        if not kept:
            _remove(part)


@contextmanager
def _part(wanted: RowsWanted, output: Path, part: Path) -> "Iterator[TextFile | ParquetFile]":
    """The part of a file, which no other export writes meanwhile."""
    if wanted.kind == "parquet":
        from workers.cli.mac_parquet import ParquetFile

        groups = ParquetFile(wanted.cycle, output, part)
        with writing(output):
            part.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(part, os.O_RDONLY)
        try:
            lock(handle, output)
            yield groups
        finally:
            os.close(handle)
        return
    with writing(output):
        # All contacts of a workspace are in it, so only the user may read it.
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    with file:
        lock(file.fileno(), output)
        yield TextFile(wanted.cycle, wanted.kind, output, part, file)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


class _Printed:
    """Standard output. That nobody reads it any more is no failure of a server."""

    def write(self, lines: bytes) -> None:
        try:
            sys.stdout.write(lines.decode())
            sys.stdout.flush()
        except OSError as error:
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - flushed as the interpreter ends
            raise NotPossible(f"standard output cannot be written: {error.strerror}") from error


async def events(settings: Settings, wanted: EventsWanted) -> dict[str, Any]:
    """Writes the usage events, a line for each. Returns their number, and `refused`: what the service would not take.

    Raises:
        NotFound: there is no such workspace or cycle.
        NotPossible: the cycle is open.
        SettingsError: the file cannot be written.
    """
    async with reading(settings) as tx:
        row = await _cycle(tx, wanted.cycle)
        if row["status"] != "closed":
            raise NotPossible(
                f"this cycle is {row['status']}: its figure may change until it closes, and a usage event is for good"
            )
        of = (wanted.cycle.workspace_id, wanted.cycle.cycle_start)
        batches = [AdjustmentBatch(**one) for one in await billing_reports.adjustment_batches(tx, *of)]
        now = await transaction_time(tx)
    cycle = ClosedCycle(*of, row["cycle_end"], row["closed_at"], row["active_contacts"])
    all_ = usage_events.usage(cycle, batches, wanted.dated, wanted.since)
    made = [usage_events.shaped(cycle, one, wanted.meter, now) for one in all_]
    refused = [one for one in made if isinstance(one, Refusal)]
    taken = [one for one in made if not isinstance(one, Refusal)]
    lines = msgspec.json.Encoder().encode_lines(taken)
    if wanted.output is None:
        _Printed().write(lines)
    else:
        temporary = wanted.output.with_name(f"{wanted.output.name}.tmp")
        with writing(wanted.output):
            temporary.write_bytes(lines)
            temporary.replace(wanted.output)
    told = {name: row[name] for name in _TOLD} | {"events": len(taken)}
    return told | {"refused": [{"what": one.what, "reason": one.reason} for one in refused]}


def tell(written: Mapping[str, Any], output: Path | None, *, as_json: bool) -> None:
    """Says what was written: a document for machines, else lines on standard error."""
    if as_json:
        reports.as_document({**written, "file": str(output)})
        return
    for one in written.get("refused", ()):
        terminal.say(f"refused, {one['what']}: {one['reason']}")
    if written["status"] != "closed":
        terminal.say("This cycle is open: its count may change.")
    count = f"{written['rows']:,} rows" if "rows" in written else f"{written['events']:,} usage events"
    terminal.say(count + ("" if output is None else f" in {output}"))
