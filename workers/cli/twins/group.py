"""`sluice` with the twin of every command, and `sluice impact` with those whose effects can be told beforehand.

They are made when they are asked for: help and other commands start quickly.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


class WithTwins(TyperGroup):
    """The group of all commands. The twins come after the others, under a heading of their own in the help."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        return found if found is not None else _twin(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """With the twins, while a shell completes a line: the help has a heading of their own for them."""
        names: list[str] = super().list_commands(ctx)
        if ctx.resilient_parsing:
            from workers.cli.twins import building

            names += [*building.twins(), *building.short_names()]
        return names

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
    return None if command is None else _made(name, building.twin(command))


class WithImpacts(TyperGroup):
    """The group of the commands whose effects can be told beforehand, by the names of their twins."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as click calls it
        from workers.cli.twins import foreseeing

        return foreseeing.names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from workers.cli.twins import building, foreseeing

        name = building.short_names().get(cmd_name, cmd_name)
        known = name in self.list_commands(ctx)
        return _made(name, foreseeing.foreseeing(building.twins()[name])) if known else None


def _made(name: str, run: Callable[..., None]) -> Any:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(run)
    return get_command(app)
