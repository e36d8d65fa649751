"""Gives many commands and adds up what became of them: progress while it runs, one report at the end."""

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workers.cli import reports, tables, terminal
from workers.cli.giving import Answer, Asked, Desk
from workers.errors import SluiceError
from workers.terminal_text import visible

_SHOWN: Final = 100  # of the refusals, in the report
_ON_A_TERMINAL_S, _ELSEWHERE_S = 0.5, 10.0


@dataclass(slots=True)
class AnswerTally:
    """What became of commands. `before`: answered already by an earlier run. `refusals` has the first of them."""

    commands: int = 0
    done: int = 0
    unchanged: int = 0
    before: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        self.commands += 1
        self.before += answer.before
        if answer.outcome == "done":
            self.done += 1
            self.unchanged += not answer.changed
            return
        self.refused[str(answer.reason)] += 1
        if len(self.refusals) < _SHOWN:
            self.refusals.append(
                {"subject": str(answer.asked.subject), "reason": answer.reason, "detail": answer.detail}
            )

    def counts(self) -> dict[str, Any]:
        """The numbers, without the refusals one by one."""
        return {
            "commands": self.commands,
            "done": self.done,
            "unchanged": self.unchanged,
            "answered_before": self.before,
            "refused": dict(self.refused),
        }


def show_tally(tally: AnswerTally, head: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints the report: the numbers, then the refusals."""
    document = {**head, **tally.counts()}
    if as_json:
        reports.as_document({**document, "refusals": tally.refusals})
        return
    print(tables.lines(document))
    if tally.refusals:
        print()
        tables.show(terminal.console(), "refusals", tally.refusals)
        if (more := tally.refused.total() - len(tally.refusals)) > 0:
            terminal.say(f"{more:,} more were refused.")


class Progress:
    """Says on standard error how far it is: one line that changes on a terminal, elsewhere one every ten seconds."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._every_s = _ON_A_TERMINAL_S if self._terminal else _ELSEWHERE_S
        self._last = time.monotonic()

    def show(self, count: int, *, end: bool = False) -> None:
        now = time.monotonic()
        if now - self._last < self._every_s and not (end and self._terminal):
            return
        self._last = now
        of = "" if self._total is None else f" of {self._total:,}"
        text = visible(f"{count:,}{of} {self._what}")
        if self._terminal:
            sys.stderr.write(f"\r{text}" + ("\n" if end else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


async def give_all(
    desk: Desk, commands: AsyncIterator[Asked], progress: Progress, heard: Callable[[Answer], None] | None = None
) -> AnswerTally:
    """Gives all commands and adds up their answers; `heard` gets each answer as well.

    Raises:
        Unreachable, NotPossible: see `Desk.answers`; what was answered before stays.
    """
    tally = AnswerTally()
    try:
        async for answer in desk.answers(commands):
            tally.add(answer)
            if heard is not None:
                heard(answer)
            progress.show(tally.commands)
    except SluiceError:
        terminal.say(f"{tally.commands:,} commands were answered before this:")
        raise
    progress.show(tally.commands, end=True)
    return tally
