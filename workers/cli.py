"""The `sluice` command. Exit codes: 0 clean, 1 fault, 2 settings, rights, migrations or topics, 3 stopped the line, 4 fenced."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console

from schemas.topics import DEFAULT_PARTITIONS
from workers import operating, reporting
from workers.errors import ExitCode, SettingsError, SluiceError
from workers.runtime.telemetry import configure_logging
from workers.settings import load_settings

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Asynchronous message-ingestion workers: Kafka in, PostgreSQL as the truth, Kafka out, exactly once.\n\n"
    "Settings are environment variables SLUICE_…, or lines of .env in the working folder; see docs/settings.md.",
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for machines.")]
OfWorkspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many rows.")]


def main() -> None:
    """Entry point: whatever an operator can mend is one line on standard error and an exit code."""
    try:
        app()
    except SluiceError as error:
        print(f"sluice: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.command()
def demo() -> None:
    """Play a recorded multi-channel day through every worker, on an embedded PostgreSQL and broker.

    Prints what was accepted, dropped, held, halted and counted, and why. Exit code 0 only if the figures reconcile.
    """
    from workers.dev.demo import demo as play  # noqa: PLC0415 - needs the extra `embedded`

    configure_logging("console", "error")
    raise typer.Exit(play(Console()))


@app.command()
def dev(
    data_dir: Annotated[Path, typer.Option(help="Where the embedded PostgreSQL keeps its data.")] = Path(".sluice/dev"),
    env_file: Annotated[
        Path | None, typer.Option(help="Write the addresses here as SLUICE_… lines once all workers are consuming.")
    ] = None,
    external: Annotated[
        bool, typer.Option("--external", help="Use SLUICE_DATABASE_URL and SLUICE_KAFKA_BOOTSTRAP instead.")
    ] = False,
) -> None:
    """Run everything on this machine until Ctrl-C or SIGTERM: servers, schema, topics, every worker.

    PostgreSQL keeps its data; the broker lives in memory and starts empty each time.
    """
    from workers.dev import standalone  # noqa: PLC0415 - needs the extra `embedded`

    run = standalone.external if external else standalone.embedded
    raise typer.Exit(run(Path(data_dir).resolve(), env_file))


@app.command()
def worker(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=f"Any of {', '.join(operating.NAMES)}.")],
) -> None:
    """Run the named workers in one process against the configured servers, until SIGTERM.

    More processes share the work, up to one for each partition. Exit codes: 0 clean stop; 1 fault, also when a server
    is unreachable for a minute; 2 settings, rights, missing migration or topics; 3 stopped the line; 4 a batch in
    flight was fenced.
    """
    raise typer.Exit(operating.work(names))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again and from several places at once."""
    applied = _run(operating.migrated(load_settings()))
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@app.command()
def topics(
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="Of topics to be made.")] = DEFAULT_PARTITIONS,
    replication: Annotated[int, typer.Option(min=1, max=9, help="Copies of topics to be made.")] = 1,
    describe: Annotated[bool, typer.Option("--describe", help="Print the registry and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing and check the others.

    Input topics are made with LogAppendTime; content is kept for 7 days. Exit code 2 if an existing topic is set
    otherwise.
    """
    if describe:
        reporting.describe_topics(Console(), as_json=as_json)
        return
    checked = _run(operating.topics(load_settings(), partitions, replication))
    reporting.checked_topics(Console(), checked, as_json=as_json)
    if checked.wrong:
        raise typer.Exit(ExitCode.SETUP)


@app.command()
def status(as_json: AsJson = False) -> None:
    """What an operator looks at first: progress by partition, what is owed, dead letters, holds."""
    _show(reporting.status(load_settings()), as_json=as_json)


@app.command()
def holds(workspace: OfWorkspace = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Sends that wait for a person, those that expire first on top. Texts are not shown; see sluice.held_sends."""
    _show(reporting.holds(load_settings(), workspace, limit), as_json=as_json)


@app.command()
def mac(
    workspace: OfWorkspace = None,
    since: Annotated[str | None, typer.Option(help="Only cycles that end after this moment (RFC 3339).")] = None,
    contact: Annotated[UUID | None, typer.Option(help="Explain this contact; needs --workspace and --cycle.")] = None,
    cycle: Annotated[str | None, typer.Option(help="The cycle's start (RFC 3339), as `sluice mac` shows it.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Monthly active contacts by workspace and cycle, or why one contact counts."""
    settings = load_settings()
    if contact is None:
        _show(reporting.mac(settings, workspace, _moment(since, "--since"), limit), as_json=as_json)
        return
    start = _moment(cycle, "--cycle")
    if workspace is None or start is None:
        raise SettingsError("--contact needs --workspace and --cycle: a contact counts in a cycle of a workspace")
    _show(reporting.explain_mac(settings, workspace, start, contact), as_json=as_json)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option}: expected a moment such as 2026-03-01T00:00:00Z, got {text!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(report: "Coroutine[Any, Any, reporting.Report]", *, as_json: bool) -> None:
    reporting.show(Console(), _run(report), as_json=as_json)


def _run(work: Coroutine[Any, Any, T]) -> T:
    configure_logging("auto", "warning")
    return asyncio.run(work)
