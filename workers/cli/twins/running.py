"""Gives one command of the command line and prints its answer."""

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import typer

from workers.app.settings import Settings
from workers.cli import reports, tables, terminal
from workers.cli.giving import Answer, Giver, asked, desk, one_by_one
from workers.errors import ExitCode, NotPossible, SettingsError

_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`")


def give_one(
    giver: Giver, command: str, command_id: UUID, fields: Mapping[str, Any], words: Mapping[str, str], *, as_json: bool
) -> None:
    """Gives a command, waits for its answer and prints it. `words` has the option of each field.

    Raises:
        SettingsError: a field does not fit.
        NotPossible: the command is refused, and it is not printed as JSON.
        SetupError, Unreachable: see `desk` and `Desk.answers`.
    """
    answer = terminal.run_to_end(_answer(terminal.settings(), giver, command, command_id, fields, words))
    if as_json:
        reports.as_document(answer.document())
        if answer.outcome != "done":
            raise typer.Exit(ExitCode.FAULT)
        return
    if answer.outcome != "done":
        raise NotPossible(f"refused, {answer.reason}: {in_options(answer.detail or 'no detail', words)}")
    print(tables.lines({"done": answer.asked.command, "command_id": command_id, **answer.changed}))


def in_options(text: str, words: Mapping[str, str]) -> str:
    """An error about fields in the words of the command line."""
    for field, option in words.items():
        text = text.replace(f"`{field}`", option)
    return _PLACE.sub(lambda found: _place(found[1], words), text)


def _place(path: str, words: Mapping[str, str]) -> str:
    field = path.partition("[")[0]
    name = field.partition(".")[0]
    return f" - at {words.get(field) or words.get(name) or path}" if path else ""


async def _answer(
    settings: Settings,
    giver: Giver,
    command: str,
    command_id: UUID,
    fields: Mapping[str, Any],
    words: Mapping[str, str],
) -> Answer:
    async with desk(settings, giver) as at_hand:
        try:
            one = asked(giver, command, command_id, await at_hand.now(), fields)
        except ValueError as error:
            raise SettingsError(in_options(str(error), words)) from None
        [answer] = [answer async for answer in at_hand.answers(one_by_one([one]))]
        return answer
