"""Makes `sluice impact COMMAND` for each command whose effects can be told beforehand, with the options of its twin."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.actors import CommandBase
from workers.cli import impact, impact_words, terminal
from workers.cli.twins.building import signed, twins
from workers.cli.twins.fields import NOT_GIVEN, options_of, parameter

_WITHOUT_EFFECT: Final[Mapping[str, Any]] = {"note": NOT_GIVEN, "choices": NOT_GIVEN, "expected_count": 1}
"""Fields that nobody need give here, with what stands in their place."""


def names() -> list[str]:
    """The commands by their names on the command line."""
    return [name for name in twins() if name.replace("-", "_") in impact_words.WORDS]


def foreseeing(command: type[CommandBase]) -> Callable[..., None]:
    """A function for Typer: shows what the command would touch."""
    name = str(command.__struct_config__.tag)
    fields = options_of(command)
    asked = [option for option in fields if option.name not in _WITHOUT_EFFECT]
    words = {option.name: option.told for option in fields} | {"workspace_id": "--workspace"}

    def run(**values: Any) -> None:
        given = {option.name: option.read(values) for option in asked}
        given |= {option.name: _WITHOUT_EFFECT[option.name] for option in fields if option not in asked}
        given = {field: value for field, value in given.items() if value is not NOT_GIVEN}
        told = terminal.run_to_end(impact.foreseen(terminal.settings(), values["workspace"], name, given, words))
        terminal.show_page(told, impact.page, as_json=bool(values["as_json"]))

    run.__doc__ = f"Show what `sluice {name.replace('_', '-')}` would touch.\n\n{_HELP}"
    return signed(run, [*(p for option in asked for p in option.parameters), *_HOW])


_HELP: Final = (
    "Nothing is given. A figure of more than 10,000 is not counted further. What the command would not change, or what "
    "it would be refused for, is left out. Exit code 1: there is no such workspace."
)
_HOW: Final = (
    parameter("workspace", str, "--workspace", about="The workspace.", required=True, metavar="ID"),
    parameter("as_json", bool, "--json", about="One JSON document for machines."),
)
