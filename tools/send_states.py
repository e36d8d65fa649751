"""Writes the picture and the table of `docs/sends.md` from the table of states: `python -m tools.send_states`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from workers.rules.send_states import IDLE, STATES, TRANSITIONS, State, Transition

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "sends.md"

_BEGIN: Final = "<!-- made by python -m tools.send_states -->"
_END: Final = "<!-- end -->"
_MADE: Final = re.compile(f"{_BEGIN}.*?{_END}", re.DOTALL)


def written(page: str) -> str:
    """The page with its picture and its table as the code has them now."""
    parts = iter((_picture(), _table()))
    return _MADE.sub(lambda _: f"{_BEGIN}\n\n{next(parts)}\n\n{_END}", page)


def _picture() -> str:
    """Without receipts of earlier attempts: the table has them."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in TRANSITIONS:
        if not _is_late(row):
            arrows.setdefault((row.state, row.to), []).append(row.event)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> requested"]
    lines += [f"    {state} --> {to}: {', '.join(_shortened(events))}" for (state, to), events in arrows.items()]
    return "\n".join([*lines, "```"])


def _is_late(row: Transition) -> bool:
    return row.state in IDLE and row.event.startswith("receipt ")


def _shortened(events: Iterable[str]) -> Iterator[str]:
    """`receipt sent` is `sent` on an arrow."""
    yield from dict.fromkeys(event.removeprefix("receipt ") for event in events)


def _table() -> str:
    lines = ["| state | event | then | `reason` |", "| --- | --- | --- | --- |"]
    for state in STATES:
        lines += [f"| `{state}` | {row.event} | `{row.to}` | {row.reason or ''} |" for row in _of(state)]
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _of(state: State) -> Iterator[Transition]:
    yield from (row for row in TRANSITIONS if row.state == state)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
