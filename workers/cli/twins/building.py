"""Makes the command of the command line from the struct of a command."""

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any, Final, get_args
from uuid import UUID, uuid4

from schemas.actors import CommandBase, Module, Restriction, TargetCommand
from schemas.commands import Command
from schemas.fields import Role
from workers.cli.bulk import selections
from workers.cli.bulk.many import ONE_FOR_MANY
from workers.cli.giving import giver_of
from workers.cli.twins import running
from workers.cli.twins.fields import NOT_GIVEN, FieldOptions, options_of, parameter
from workers.cli.twins.wording import ABOUT, SHORT, who_may
from workers.errors import SettingsError

HEAD: Final = (
    parameter("workspace", str, "--workspace", about="The workspace.", required=True, metavar="ID"),
    parameter("actor", str, "--actor", about="The id of who gives it; it is audited.", required=True, metavar="ID"),
    parameter("role", Role, "--role", about="The role of the actor.", required=True),
    parameter("module", Module, "--module", about="Where the command comes from; api unless given."),
    parameter(
        "restriction", list[str], "--restriction", metavar="TEXT",
        about=f"What binds a manager: {', '.join(get_args(Restriction))}. May be repeated.",
    ),
)  # fmt: skip
"""The options of everything that gives commands."""
_MANY: Final = (
    parameter("selection", str, "--selection", about=selections.ABOUT, metavar="KIND=VALUE"),
    parameter("dry_run", bool, "--dry-run", about="Only count the contacts of the selection."),
)
_HOW: Final = (
    parameter(
        "command_id", UUID, "--command-id",
        about="The id of the command, random unless given. One that is given twice is carried out once.",
    ),
    parameter("timeout", float, "--timeout", about="How long to wait for the answer, in seconds; 30 unless given."),
    parameter("as_json", bool, "--json", about="One JSON document for machines."),
)  # fmt: skip


HEAD_WORDS: Final = {
    "workspace_id": "--workspace",
    "actor.id": "--actor",
    "actor.role": "--role",
    "actor.module": "--module",
    "actor.restrictions": "--restriction",
}


def twins() -> dict[str, type[CommandBase]]:
    """Every command by its name on the command line."""
    return {command.__struct_config__.tag.replace("_", "-"): command for command in get_args(Command)}


def short_names() -> dict[str, str]:
    """The long name of each short one."""
    return {short: long.replace("_", "-") for long, short in SHORT.items()}


def told(command: type[CommandBase]) -> str:
    """The command in one sentence."""
    name = str(command.__struct_config__.tag)
    return ABOUT.get(name, f"Give the command {name}.")


def twin(command: type[CommandBase]) -> Callable[..., None]:
    """A function for Typer: gives the command and prints its answer."""
    name = str(command.__struct_config__.tag)
    fields = options_of(command)

    def run(**values: Any) -> None:
        giver = giver_of(*(values[name] for name in ("workspace", "actor", "role", "module", "restriction", "timeout")))
        given = {option.name: value for option in fields if (value := option.read(values)) is not NOT_GIVEN}
        one = running.GivenCommand(
            giver, name, values["command_id"] or uuid4(), given, _words(fields), bool(values["as_json"])
        )
        if values.get("selection") is not None:
            running.give_to_each(one, values["selection"], dry_run=bool(values["dry_run"]))
        elif values.get("dry_run"):
            raise SettingsError("--dry-run belongs to --selection")
        else:
            running.give_one(one)

    run.__doc__ = "\n\n".join(filter(None, [told(command), who_may(name), _EXIT_CODES]))
    many = _MANY if issubclass(command, TargetCommand) or name == ONE_FOR_MANY else ()
    return signed(run, [*(p for option in fields for p in option.parameters), *many, *HEAD, *_HOW])


_EXIT_CODES: Final = "Waits for the answer. Exit code 0: done; 1: refused, or no answer; 2: wrong use or settings."


def signed(run: Callable[..., None], parameters: Sequence[Parameter]) -> Callable[..., None]:
    """The function with the parameters that Typer reads. Its name does not matter."""
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _words(fields: Sequence[FieldOptions]) -> dict[str, str]:
    return {option.name: option.told for option in fields} | HEAD_WORDS
