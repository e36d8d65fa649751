"""Gives many commands and adds up what became of them: one report at the end."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workers.cli import reports, tables, terminal
from workers.cli.giving import Asked, CommandAnswer, Desk
from workers.cli.progress_line import Progress
from workers.errors import SluiceError

_SHOWN: Final = 100  # of the refusals, in the report


@dataclass(slots=True)
class AnswerTally:
    """What became of commands. `before`: answered already by an earlier run. `refusals` has the first of them."""

    commands: int = 0
    done: int = 0
    unchanged: int = 0
    before: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def add(self, answer: CommandAnswer) -> None:
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


async def give_all(
    desk: Desk, commands: AsyncIterator[Asked], progress: Progress, heard: Callable[[CommandAnswer], None] | None = None
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
