"""Shows rows to people, in tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.rules.wording import time_text
from workers.terminal_text import visible

Rows = Sequence[Mapping[str, Any]]

_GAP: Final = 2
_WORD: Final = 24  # longer words of prose may be broken; ids, topics and names never are


class Screen(Console):
    """A terminal, or standard output of any kind. Text of others stays on one line, or in its cell, and cannot control
    the terminal.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


def show(console: Console, name: str, rows: Rows, hidden: Sequence[str] = ()) -> None:
    """A table without the hidden columns, if it is legible at the console's width; otherwise row by row, a line for
    each property.
    """
    columns = [column for column in rows[0] if column not in hidden]
    cells = {column: [text_of(row[column]) for row in rows] for column in columns}
    widths = _widths(cells, console.width)
    if widths is None:
        for row in rows:
            for line in (name, *(_line(column, row[column]) for column in columns), ""):
                console.print(line, soft_wrap=True)
        return
    table = Table(
        title=name, title_justify="left", header_style="bold",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    for column, width in widths.items():
        numbers = {type(row[column]) for row in rows} - {type(None)} == {int}
        table.add_column(_header(column), width=width, justify="right" if numbers else "left", overflow="fold")
    for texts in zip(*cells.values(), strict=True):
        table.add_row(*texts)
    console.print(table)


def lines(document: Mapping[str, Any]) -> str:
    """One row: a line for each of its properties."""
    return "\n".join(_line(name, value) for name, value in document.items())


def _line(name: str, value: Any) -> str:
    return f"{visible(name)}: {text_of(value)}"


def text_of(value: Any) -> str:
    """A value as text on one line."""
    match value:
        case None:
            return ""
        case datetime():
            return time_text(value)
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(text_of(one) for one in value)
        case dict():
            return " ".join(f"{visible(name)}={text_of(one)}" for name, one in value.items())
        case _:
            return visible(str(value))


def _header(column: str) -> str:
    return visible(column.replace("_", " "))


def _widths(cells: Mapping[str, Sequence[str]], room: int) -> dict[str, int] | None:
    """Each column's width. Headers shrink first, then the widest columns, down to their longest word. None: the words
    need more space.
    """
    room -= _GAP * (len(cells) - 1)
    whole = {column: max(map(cell_len, (_header(column), *texts))) for column, texts in cells.items()}
    if sum(whole.values()) <= room:
        return whole
    widths = {column: max(_longest_word(_header(column)), *map(cell_len, texts)) for column, texts in cells.items()}
    least = {column: max(map(_longest_word, (_header(column), *texts))) for column, texts in cells.items()}
    while sum(widths.values()) > room:
        able = [column for column, width in widths.items() if width > least[column]]
        if not able:
            return None
        widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def _longest_word(text: str) -> int:
    words = text.split(" ")
    longest = max(cell_len(word) for word in words)
    return min(longest, _WORD) if len(words) > 1 else longest
