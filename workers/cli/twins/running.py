"""Gives what a twin was called for, and prints the answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import typer

from workers.app.settings import Settings
from workers.cli import reports, tables, terminal
from workers.cli.bulk import many, selections
from workers.cli.bulk.stream import show_tally
from workers.cli.giving import CommandAnswer, Giver, Unfit, asked, desk, one_by_one
from workers.errors import ExitCode, NotPossible, SettingsError

_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`")
_CONTACTS: Final = ("contact_id", "identity", "contact_ids", "all")


@dataclass(frozen=True, slots=True)
class GivenCommand:
    """A twin with its options. `words` has the option of each field, for errors."""

    giver: Giver
    command: str
    command_id: UUID
    fields: Mapping[str, Any]
    words: Mapping[str, str]
    as_json: bool


def give_one(call: GivenCommand, told: Callable[[CommandAnswer], str] | None = None) -> None:
    """Gives a command, waits for its answer and prints it; `told`: what is said of it, if not every line of it.

    Raises:
        SettingsError: a field does not fit.
        NotPossible: the command is refused, and it is not printed as JSON.
        SetupError, Unreachable: see `desk` and `Desk.answers`.
    """
    answer = terminal.run_to_end(_answer(terminal.settings(), call))
    if call.as_json:
        reports.as_document(answer.document())
        if answer.outcome != "done":
            raise typer.Exit(ExitCode.FAULT)
        return
    if answer.outcome != "done":
        raise NotPossible(f"refused, {answer.reason}: {in_options(answer.detail or 'no detail', call.words)}")
    print(told(answer) if told is not None else _lines(answer))


def give_to_each(call: GivenCommand, selected: str, *, dry_run: bool) -> None:
    """Gives a command to each contact of a selection and prints one report.

    Raises:
        SettingsError: a field does not fit, or a contact is named besides the selection.
        SetupError, Unreachable, NotPossible: see `give_each`.
    """
    selection = selections.selection(selected)
    if named := [call.words[name] for name in _CONTACTS if name in call.fields]:
        raise SettingsError(f"give either --selection or {named[0]}")
    settings = terminal.settings()
    if dry_run:
        contacts = terminal.run_to_end(many.counted(settings, call.giver, selection))
        if call.as_json:
            reports.as_document({"contacts": contacts})
        else:
            print(f"{contacts:,} contacts are selected; nothing is done")
        return
    terminal.say(f"After an interruption give the same with --command-id {call.command_id} to go on.")
    run = many.BulkCommand(call.command_id, call.command, call.fields, selection)
    try:
        tally = terminal.run_to_end(many.give_each(settings, call.giver, run))
    except Unfit as error:
        raise SettingsError(in_options(str(error), call.words)) from None
    show_tally(tally, {"command_id": call.command_id}, as_json=call.as_json)
    if tally.refused:
        raise typer.Exit(ExitCode.FAULT)


def in_options(text: str, words: Mapping[str, str]) -> str:
    """An error about fields in the words of the command line."""
    for field, option in words.items():
        text = text.replace(f"`{field}`", option)
    return _PLACE.sub(lambda found: _place(found[1], words), text)


def _place(path: str, words: Mapping[str, str]) -> str:
    field = path.partition("[")[0]
    name = field.partition(".")[0]
    return f" - at {words.get(field) or words.get(name) or path}" if path else ""


def _lines(answer: CommandAnswer) -> str:
    return tables.lines({"done": answer.asked.command, "command_id": answer.asked.command_id, **answer.changed})


async def _answer(settings: Settings, call: GivenCommand) -> CommandAnswer:
    async with desk(settings, call.giver) as at_hand:
        try:
            one = asked(call.giver, call.command, call.command_id, await at_hand.now(), call.fields)
        except Unfit as error:
            raise SettingsError(in_options(str(error), call.words)) from None
        [answer] = [answer async for answer in at_hand.answers(one_by_one([one]))]
        return answer
