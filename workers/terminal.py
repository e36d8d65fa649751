"""What every command of `sluice` needs: settings, a console, a way to run what takes time, and options they share."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from workers.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from workers.reporting import Report
    from workers.settings import Settings

T = TypeVar("T")

_PIPED_WIDTH: Final = 240  # nobody's terminal ends there, so no cell need be broken

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for machines.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many rows.")]


def moment(text: str | None, option: str) -> datetime | None:
    """A moment given in RFC 3339; without an offset it is UTC.

    Raises:
        SettingsError: it is none; names the option.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option}: expected a moment such as 2026-03-01T00:00:00Z, got {text!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def settings() -> "Settings":
    """This process's settings.

    Raises:
        SettingsError: see `load_settings`.
    """
    from workers.settings import load_settings

    return load_settings()


def console() -> "Console":
    """Standard output, as wide as it is. What others wrote is no markup."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, markup=False, emoji=False)


def show(report: "Coroutine[Any, Any, Report]", *, as_json: bool) -> None:
    """Make a report and print it."""
    from workers import reporting

    reporting.show(console(), run(report), as_json=as_json)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end."""
    from workers.runtime.telemetry import configure_logging

    configure_logging("auto", "warning")
    return asyncio.run(work)
