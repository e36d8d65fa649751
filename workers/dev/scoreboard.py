"""The demo's figures for people: two columns of counts and the monthly active contacts, in 80 characters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.dev.figures import Figures, Row
from workers.dev.recording import Summary

# Labels and counts of two columns, and the gap between them: 80 characters.
_LEFT: Final = 30
_RIGHT: Final = 32
_COUNT: Final = 6

Line = tuple[str, int]

_COLUMNS: Final = {
    "active": "contacts with a message that counts in the cycle: the figure to bill once the cycle is closed",
    "adjusted": "what facts changed that came after the cycle was closed",
    "with blocked": "the number without any block",
}
_RULES: Final = {
    "immediate": "a dropped message never counts; this is a setting of the workspace",
    "next_cycle": "a dropped message counts in the cycle in which the block began, and in no later one",
}
_REFUSALS: Final = {
    "not_permitted": "the user's role, or the module of the app, may not give the command",
    "invalid": "a field of the command is missing or does not fit; the result says which",
    "not_found": "the command names something that does not exist",
    "already_final": "the send was answered before, has expired, or a block had cancelled it",
    "contact_blocked": "the contact is blocked, and for blocked contacts the command is refused",
    "needs_second_person": "the requester of a send cannot confirm it if the workspace requires two people",
}


_CONTACTS: Final = (
    ("blocked", "blocked"),
    ("snoozed", "snoozed at some time"),
    ("edited", "with values by hand"),
    ("tagged", "with tags"),
    ("removed", "addresses removed"),
    ("merged", "merged into another"),
    ("undone", "merged, and undone"),
    ("deleted", "deleted"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A total and its parts."""

    title: str
    total: int
    lines: Sequence[Line]


def scoreboard(figures: Figures, day: Summary) -> RenderableType:
    """All figures as a text."""
    left = [*_messages(figures, day), _runs(figures), _dead_letters(figures)]
    right = [_sends(figures), *_holds(figures), _contacts(figures), _commands(figures)]
    columns = Table.grid(padding=(0, 2, 0, 0))
    columns.add_row(_column(left, _LEFT), _column(right, _RIGHT))
    return Group(columns, _mac(figures), "", _meanings(figures))


def _messages(figures: Figures, day: Summary) -> list[Section]:
    inbound = figures.inbound
    lines = [
        ("accepted", inbound["accepted"]),
        ("dropped", inbound["dropped"]),
        ("echoes of staff", inbound["echoes"]),
        ("echoes of our own sends", day.inbound["echoes_of_sends"]),
        ("duplicates", day.inbound["duplicates"]),
        ("same id, other content", inbound["conflicts"]),
        ("dead letters", inbound["dead"]),
    ]
    dropped = figures.tables["dropped"]
    why = [
        Section(
            f"dropped: {reason}", sum(row["messages"] for row in rows), [(_mac_rule(r), r["messages"]) for r in rows]
        )
        for reason, rows in _grouped(dropped, "reason").items()
    ]
    return [Section("messages in", day.topics["messages.inbound"], lines), *why]


def _mac_rule(row: Row) -> str:
    counted = "counted for MAC" if row["counted"] else "out of MAC"
    return f"{row['rule']}: {counted}" if row["rule"] else counted


def _runs(figures: Figures) -> Section:
    return _section("workflow runs", [(_with_reason(r["state"], r), r["runs"]) for r in figures.tables["runs"]])


def _dead_letters(figures: Figures) -> Section:
    return _section("dead letters", [(r["source_topic"], r["letters"]) for r in figures.tables["dead_letters"]])


def _sends(figures: Figures) -> Section:
    return _section("sends", [(_with_reason(r["status"], r), r["sends"]) for r in figures.tables["sends"]])


def _holds(figures: Figures) -> list[Section]:
    why = [("both" if " + " in r["reasons"] else r["reasons"], r["sends"]) for r in figures.tables["hold_reasons"]]
    endings = ("waiting", "confirmed", "rejected", "expired", "cancelled", "refused")
    return [
        Section("held, and why", figures.holds["ever"], why),
        Section("what became of them", figures.holds["ever"], [(name, figures.holds[name]) for name in endings]),
    ]


def _contacts(figures: Figures) -> Section:
    return Section("contacts", figures.contacts["present"], [(label, figures.contacts[n]) for n, label in _CONTACTS])


def _commands(figures: Figures) -> Section:
    return _section("commands", [(_with_reason(r["outcome"], r), r["commands"]) for r in figures.tables["commands"]])


def _section(title: str, lines: Sequence[Line]) -> Section:
    return Section(title, sum(count for _, count in lines), lines)


def _grouped(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _with_reason(name: str, row: Row) -> str:
    return f"{name}: {row['reason']}" if row["reason"] else name


def _column(sections: Iterable[Section], width: int) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=width, no_wrap=True, overflow="ellipsis")
    table.add_column(width=_COUNT, justify="right", no_wrap=True)
    for section in sections:
        table.add_row(Text(section.title, "bold"), Text(f"{section.total:,}", "bold"))
        for label, count in section.lines:
            table.add_row(Text(f"  {label}"), f"{count:,}")
        table.add_row("", "")
    return table


def _mac(figures: Figures) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("active contacts", no_wrap=True, width=20)
    table.add_column("cycle (UTC)", no_wrap=True)
    for name in ("active", "adjusted", "with blocked"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figures.mac:
        everybody = figures.recounted.get((row["workspace_id"], row["cycle_start"]), (0, 0))[1]
        if everybody:
            adjusted = f"{row['adjustments']:+,}" if row["adjustments"] else ""
            cycle = f"{_moment(row['cycle_start'])} – {_moment(row['cycle_end'])}"
            table.add_row(
                row["workspace_id"],
                cycle,
                f"{row['active_contacts']:,}",
                adjusted,
                f"{everybody:,}",
            )
    return table


def _meanings(figures: Figures) -> Table:
    """Explanations of the words in the figures."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    refusals = {row["reason"] for row in figures.tables["commands"]}
    rules = {row["rule"] for row in figures.tables["dropped"]}
    for word, meaning in {**_COLUMNS, **_RULES, **_REFUSALS}.items():
        if word in _COLUMNS or word in refusals or word in rules:
            table.add_row(word, meaning)
    return table


def _moment(moment: datetime) -> str:
    return f"{moment.day:2} {moment:%b %H:%M}"
