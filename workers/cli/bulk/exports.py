"""`sluice contacts export`: asks whether it may, then reads contacts page by page and writes them as they come."""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import mkstemp
from typing import Any
from uuid import uuid4

import msgspec

from workers.app.settings import Settings
from workers.cli.bulk import selections
from workers.cli.giving import Desk, Giver, asked, desk, one_by_one
from workers.cli.progress_line import Progress
from workers.errors import NotPossible, SettingsError
from workers.rules import contact_sheet
from workers.store import contact_lists
from workers.terminal_text import visible_json


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which contacts, and in which form."""

    tag: str | None
    delimiter: str
    as_json: bool


def tag_of(selection: str | None) -> str | None:
    """The tag of a selection.

    Raises:
        SettingsError: it selects by something else.
    """
    if selection is None:
        return None
    chosen = selections.selection(selection)
    if chosen.kind != "tag":
        raise SettingsError(f"--selection: an export knows tag=TAG only, got {selection!r}")
    return chosen.value


async def export(settings: Settings, giver: Giver, wanted: Wanted, output: Path | None) -> int:
    """Writes the contacts; returns how many. A file appears only once it is whole.

    Raises:
        NotPossible: the export is refused.
        SettingsError: the file cannot be written.
        SetupError, Unreachable: see `desk` and `Desk.answers`.
    """
    if len(wanted.delimiter) != 1:
        raise SettingsError(f"--delimiter: expected one character, got {wanted.delimiter!r}")
    async with desk(settings, giver) as at_hand:
        await _ask(at_hand, wanted)
        with _opened(output) as put:
            return await _write(at_hand, wanted, put)


async def _ask(at_hand: Desk, wanted: Wanted) -> None:
    about = {} if wanted.tag is None else {"filter": {"tag": wanted.tag}}
    command = asked(at_hand.giver, "export_contacts", uuid4(), await at_hand.now(), about)
    [answer] = [answer async for answer in at_hand.answers(one_by_one([command]))]
    if answer.outcome != "done":
        raise NotPossible(f"refused, {answer.reason}: {answer.detail}")


async def _write(at_hand: Desk, wanted: Wanted, put: Callable[[str], None]) -> int:
    workspace_id, count, progress = at_hand.giver.workspace_id, 0, Progress("contacts")
    fields = [row["name"] for row in await contact_lists.fields(at_hand.connection, workspace_id, "contact")]
    put("[" if wanted.as_json else _lines(wanted, [contact_sheet.head(fields)]))
    async for page in contact_lists.pages(at_hand.connection, workspace_id, wanted.tag):
        if wanted.as_json:
            put(("," if count else "") + ",".join("\n" + _document(row) for row in page))
        else:
            put(_lines(wanted, [contact_sheet.row(_decoded(row), fields) for row in page]))
        count += len(page)
        progress.show(count)
    put("\n]\n" if wanted.as_json else "")
    return count


def _lines(wanted: Wanted, rows: Sequence[Sequence[str]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, delimiter=wanted.delimiter).writerows(rows)
    return text.getvalue()


def _decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row) | {name: msgspec.json.decode(row[name]) for name in ("custom", "identities")}


def _document(row: Mapping[str, Any]) -> str:
    return visible_json(msgspec.json.encode(_decoded(row)).decode())


@contextmanager
def _opened(output: Path | None) -> Iterator[Callable[[str], None]]:
    """A function that writes. A failure to write is no failure of a server, so it is explained here."""
    if output is None:
        yield _print
        return

    def put(text: str) -> None:
        try:
            file.write(text)
            file.flush()
        except OSError as error:
            raise SettingsError(f"--output {output} cannot be written: {error.strerror}") from error

    try:
        handle, name = mkstemp(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise SettingsError(f"--output {output} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield put
        Path(name).replace(output)
    finally:
        Path(name).unlink(missing_ok=True)


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the interpreter flushes it at its end
        raise NotPossible(f"standard output cannot be written: {error.strerror}") from error
