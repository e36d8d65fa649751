"""The rows of an exported count, and how they are written as text: to standard output, or into a file in parts.

A file is written beside its place and moved there once it is whole. What a killed export of a closed cycle has written
stays and can be continued: every whole line is true for good, as a closed count never changes.
"""

import csv
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol
from uuid import UUID

import msgspec

from workers.errors import NotPossible, SettingsError
from workers.rules.mac_sheet import COLUMNS, CycleName, adjustment_row, cells, contact_row

TextFormat = Literal["csv", "jsonl"]

_ADJUSTMENT: Final[Mapping[TextFormat, bytes]] = {"csv": b"adjustment,", "jsonl": b'{"kind":"adjustment",'}
_JSON: Final = msgspec.json.Encoder()


class Bytes(Protocol):
    """What lines can be written to."""

    def write(self, lines: bytes, /) -> object: ...


class Rows(Protocol):
    """Where rows go. `contacts` of them are there already, `last` being the one with the greatest contact_id."""

    contacts: int
    last: UUID | None

    def add_contacts(self, page: Sequence[Mapping[str, Any]]) -> None: ...
    def add_adjustments(self, page: Sequence[Mapping[str, Any]]) -> None: ...
    def finish(self) -> None:
        """Puts the whole file in its place."""


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Failures to write. They are no failures of a server, so they are told here.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise SettingsError(f"--out {output} cannot be written: {error.strerror or error}") from error


def lock(handle: int, output: Path) -> None:
    """Keeps other exports away from what this one writes, until it ends in whatever way.

    Raises:
        NotPossible: another export writes it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NotPossible(f"another export writes {output} at this moment") from None


def other_export(part: Path) -> NotPossible:
    """Why something cannot be continued."""
    return NotPossible(f"{part} is no part of this export: remove it, or give another --out")


class TextRows:
    """Rows as lines of CSV or JSON."""

    def __init__(self, name: CycleName, kind: TextFormat, file: Bytes) -> None:
        self.contacts = 0
        self.last: UUID | None = None
        self._name = name
        self._kind = kind
        self._to = file
        self._head = _csv([COLUMNS]) if kind == "csv" else b""

    def begin(self) -> None:
        """Begins with what comes before the rows."""
        self._to.write(self._head)

    def add_contacts(self, page: Sequence[Mapping[str, Any]]) -> None:
        self._write(contact_row(self._name, row) for row in page)
        self.contacts += len(page)
        self.last = page[-1]["contact_id"]

    def add_adjustments(self, page: Sequence[Mapping[str, Any]]) -> None:
        self._write(adjustment_row(self._name, row) for row in page)

    def finish(self) -> None:
        pass

    def _write(self, rows: Iterable[tuple[Any, ...]]) -> None:
        if self._kind == "csv":
            self._to.write(_csv(map(cells, rows)))
        else:
            self._to.write(_JSON.encode_lines([dict(zip(COLUMNS, row, strict=True)) for row in rows]))


class TextFile(TextRows):
    """Lines in a file that can be continued."""

    def __init__(self, name: CycleName, kind: TextFormat, output: Path, part: Path, file: BinaryIO) -> None:
        super().__init__(name, kind, file)
        self._file = file
        self._output = output
        self._part = part

    def begin(self) -> None:
        with writing(self._output):
            self._file.truncate(0)
            super().begin()

    def go_on(self) -> None:
        """Keeps the whole lines of contacts; adjustments are written again, for there may be more of them by now.

        Raises:
            NotPossible: the file has something else in it.
        """
        end, last = 0, b""
        for number, line in enumerate(self._file):
            if not line.endswith(b"\n") or line.startswith(_ADJUSTMENT[self._kind]):
                break
            if self._kind == "csv" and number == 0:
                if line != self._head:
                    raise other_export(self._part)
            else:
                self.contacts += 1
                last = line
            end += len(line)
        if last:
            self.last = self._contact_of(last)
        with writing(self._output):
            self._file.truncate(end)
            self._file.seek(end)
        if end == 0:
            self.begin()

    def _contact_of(self, line: bytes) -> UUID:
        try:
            row = self._row(line)
            named = (row["kind"], row["workspace_id"], datetime.fromisoformat(row["cycle_start"]))
            if named == ("contact", self._name.workspace_id, self._name.cycle_start):
                return UUID(row["contact_id"])
        except (ValueError, KeyError, TypeError, csv.Error):
            pass  # somebody else's file: whatever it is, it is none of ours
        raise other_export(self._part)

    def _row(self, line: bytes) -> dict[str, Any]:
        if self._kind == "jsonl":
            return msgspec.json.decode(line, type=dict[str, Any])
        [cells] = csv.reader([line.decode()])
        return dict(zip(COLUMNS, cells, strict=True))

    def finish(self) -> None:
        with writing(self._output):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(self._output)

    def _write(self, rows: Iterable[tuple[Any, ...]]) -> None:
        with writing(self._output):
            super()._write(rows)
            self._file.flush()


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
