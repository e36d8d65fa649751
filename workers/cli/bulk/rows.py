"""The rows of a CSV file as commands: `create_contact` and `create_profile`, with ids made from what is in the row."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import msgspec

from schemas.changes import CONTACT_FIELDS, CUSTOM
from schemas.fields import CHANNELS
from workers.errors import SettingsError
from workers.rules import cells

Kind = Literal["contacts", "profiles"]

_IDS: Final = UUID("0b9fe3a4-6a1e-5b0b-9d3a-3d2b8e6f1c55")
_IDENTITY: Final = ("channel", "address", "channel_id")
_COLUMNS: Final[Mapping[Kind, frozenset[str]]] = {
    "contacts": frozenset({*_IDENTITY, *CONTACT_FIELDS, "tags"}),
    "profiles": frozenset({"profile_id", "name"}),
}
_NEEDED: Final[Mapping[Kind, str]] = {"contacts": "address", "profiles": "name"}
_ONLY_EXPORTED: Final = frozenset(
    {"contact_id", "display_name", "avatar_url", "conversation_status", "profile_id", "identities"}
)
"""Columns of an export of contacts that an import leaves out."""


class Wrong(Exception):  # noqa: N818 - about a row
    """What is wrong with a row: `column` is where, empty if it is the row itself."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column
        self.what = what


@dataclass(frozen=True, slots=True)
class Step:
    """A command for a row: its name, its fields and its id."""

    command: str
    fields: Mapping[str, Any]
    id: UUID


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: the line it begins at, and its cells by column without the empty ones; None: not that many."""

    line: int
    cells: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """How a file is read. `types` has the type and options of each custom field. `channel` is that of rows without one.

    `again` makes other ids of the same rows. With `update` a contact that is known gets the values of its row as well.
    """

    workspace_id: str
    kind: Kind
    types: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    channel: str | None = None
    again: str = ""
    update: bool = False

    def steps(self, row: Row) -> list[Step]:
        """The commands of a row, in their order.

        Raises:
            Wrong: a cell cannot be read.
        """
        if row.cells is None:
            raise Wrong("", "the row has another number of cells than the first line")
        needed = _NEEDED[self.kind]
        if needed not in row.cells:
            raise Wrong(needed, "it must not be empty")
        id_ = self._id(row.cells)
        if self.kind == "profiles":
            return [Step("create_profile", self._profile(row.cells), id_)]
        identity, values, tags = self._identity(row.cells), self._values(row.cells), self._tags(row.cells)
        given = {"identity": identity, "set": values or None, "tags": tags or None}
        steps = [Step("create_contact", {name: value for name, value in given.items() if value is not None}, id_)]
        if self.update and values:
            steps.append(Step("update_contact", {"identity": identity, "set": values}, uuid5(id_, "set")))
        if self.update:
            steps += [Step("add_tag", {"identity": identity, "tag": t}, uuid5(id_, f"tag {t}")) for t in tags]
        return steps

    def _id(self, given: Mapping[str, str]) -> UUID:
        # Of what is in the row and not of where it is: a corrected file gives only the rows that were corrected.
        what = [self.workspace_id, self.kind, self.again, self.channel or "", sorted(given.items())]
        return uuid5(_IDS, msgspec.json.encode(what).decode())

    def _identity(self, given: Mapping[str, str]) -> dict[str, str]:
        channel = given.get("channel", self.channel)
        if channel not in CHANNELS:
            raise Wrong("channel", f"expected one of {', '.join(sorted(CHANNELS))}")
        identity = {"channel": channel, "address": cells.text(given["address"])}
        return identity | ({"channel_id": cells.text(given["channel_id"])} if "channel_id" in given else {})

    def _values(self, given: Mapping[str, str]) -> dict[str, Any]:
        own = {name: cells.text(given[name]) for name in sorted(CONTACT_FIELDS) if name in given}
        return own | self._custom(given)

    def _tags(self, given: Mapping[str, str]) -> list[str]:
        try:
            return list(dict.fromkeys(cells.items(given.get("tags", ""))))
        except ValueError as error:
            raise Wrong("tags", str(error)) from None

    def _profile(self, given: Mapping[str, str]) -> dict[str, Any]:
        own = {name: cells.text(given[name]) for name in ("profile_id", "name") if name in given}
        custom = {name.removeprefix(CUSTOM): value for name, value in self._custom(given).items()}
        return own | ({"fields": custom} if custom else {})

    def _custom(self, given: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, of_cell in given.items():
            if name.startswith(CUSTOM):
                kind, options = self.types.get(name.removeprefix(CUSTOM), ("text", ()))
                try:
                    found[name] = cells.field_value(kind, options, of_cell)
                except ValueError as error:
                    raise Wrong(name, str(error)) from None
        return found


@contextmanager
def rows(path: Path, kind: Kind, delimiter: str, *, with_channel: bool) -> Iterator[Iterator[Row]]:
    """The rows of a CSV file in UTF-8 whose first line names the columns, read as they are asked for.

    Raises:
        SettingsError: the file cannot be read, or its columns are not those of such a file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            columns = next(reader, [])
            _require_columns(path, kind, columns, with_channel=with_channel)
            yield _rows(reader, columns, _ONLY_EXPORTED if kind == "contacts" else frozenset())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} cannot be read as CSV in UTF-8: {error}") from error


def _rows(reader: Any, columns: Sequence[str], left_out: Collection[str]) -> Iterator[Row]:
    line = reader.line_num + 1
    for given in reader:
        if len(given) == len(columns):
            named = zip(columns, given, strict=True)
            yield Row(line, {name: cell for name, cell in named if cell.strip() and name not in left_out})
        elif given:
            yield Row(line, None)
        line = reader.line_num + 1


def _require_columns(path: Path, kind: Kind, columns: Sequence[str], *, with_channel: bool) -> None:
    known = _COLUMNS[kind] | (_ONLY_EXPORTED if kind == "contacts" else frozenset())
    unknown = [name for name in columns if name not in known and not name.startswith(CUSTOM)]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if unknown or twice:
        wrong = f"has the column {unknown[0]!r}" if unknown else f"has the column {twice[0]!r} twice"
        expected = f"{', '.join(sorted(_COLUMNS[kind]))} and custom.NAME"
        raise SettingsError(f"{path} {wrong}; the first line names the columns, of {expected}")
    missing = [_NEEDED[kind], *(["channel"] if kind == "contacts" and not with_channel else [])]
    for name in missing:
        if name not in columns:
            also = "; or give --channel for all rows" if name == "channel" else ""
            raise SettingsError(f"{path} has no column {name!r}{also}")
