"""`sluice` with the twin of every command, made when it is asked for: help and other commands start quickly."""

from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


class WithTwins(TyperGroup):
    """The group of all commands. The twins come after the others, under a heading of their own in the help."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        return found if found is not None else _twin(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        from workers.cli.twins import building

        super().format_commands(ctx, formatter)
        shorts = {long: short for short, long in building.short_names().items()}
        rows = [
            (f"{shorts[name]}, {name}" if name in shorts else name, building.told(command))
            for name, command in building.twins().items()
        ]
        with formatter.section("Commands for contacts, profiles, sends and settings"):
            formatter.write_dl(rows)


def _twin(name: str) -> Any:
    from workers.cli.twins import building

    command = building.twins().get(building.short_names().get(name, name))
    if command is None:
        return None
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(building.twin(command))
    return get_command(app)
