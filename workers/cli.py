"""The `sluice` command.

Exit codes: 0 clean, 1 fault, 2 settings, rights, migrations or topics, 3 stopped the line, 4 fenced. What a command
needs is imported when it runs: help is quick, and only what is asked for must be installed.
"""

import sys
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from workers import dead_letter_commands, progress_commands
from workers.errors import ExitCode, SettingsError, SluiceError
from workers.terminal import AsJson, Limit, console, moment, run, settings, show

WORKERS: Final = ("inbound", "outbound", "commands", "workflows", "billing", "upkeep", "all")
PARTITIONS: Final = 12

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Asynchronous message-ingestion workers: Kafka in, PostgreSQL as the truth, Kafka out, exactly once.\n\n"
    "Settings are environment variables SLUICE_…, or lines of .env in the working folder; see docs/settings.md.",
)

app.add_typer(dead_letter_commands.app, name="dead-letters")
app.add_typer(progress_commands.app, name="progress")

OfWorkspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace.")]


def main() -> None:
    """Entry point: whatever an operator can mend is one line on standard error and an exit code."""
    try:
        app()
    except SluiceError as error:
        print(f"sluice: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.command()
def demo() -> None:
    """Play a recorded day through every worker; check the figures.

    PostgreSQL and a broker run embedded, in a temporary folder. Prints what was accepted, dropped, held, halted and
    counted, and why. Exit code 0 only if the figures reconcile.
    """
    from workers.dev.demo import demo as play

    raise typer.Exit(play())


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
    """Run servers and every worker here until Ctrl-C or SIGTERM.

    PostgreSQL keeps its data; the broker lives in memory and starts empty each time, with four partitions a topic.
    The schema is brought up to date and the topics are made first, also with --external.
    """
    from workers.dev import standalone

    if external:
        raise typer.Exit(standalone.external(env_file))
    raise typer.Exit(standalone.embedded(data_dir.resolve(), env_file))


@app.command()
def worker(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=f"Any of {', '.join(WORKERS)}.")],
    accept_bad_until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC/PARTITION/OFFSET",
            help="Bad records before this offset are dead letters and do not stop the line. May be repeated.",
        ),
    ] = None,
) -> None:
    """Run workers against the configured servers, until SIGTERM.

    They share this process. More processes share the work, up to one for each partition. Exit codes: 0 clean stop;
    1 fault, also when a server is unreachable for a minute; 2 settings, rights, missing migration or topics; 3 stopped
    the line; 4 a batch in flight was fenced.
    """
    unknown = sorted(set(names) - set(WORKERS))
    if unknown:
        raise SettingsError(f"no worker is called {unknown[0]!r}; expected any of {', '.join(WORKERS)}")
    from workers import operating

    raise typer.Exit(operating.work(names, accept_bad_until or ()))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again and from several places at once."""
    from workers import operating

    applied = run(operating.migrated(settings()))
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@app.command()
def topics(
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="Of the topics that are made.")] = PARTITIONS,
    replication: Annotated[int, typer.Option(min=1, max=9, help="Copies of the topics that are made.")] = 1,
    describe: Annotated[bool, typer.Option("--describe", help="Print the registry and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the topics that are missing, check the others.

    Topics are made with LogAppendTime; content is kept for 7 days. Exit code 2 if an existing topic is set
    otherwise.
    """
    from workers import operating, reporting

    if describe:
        reporting.describe_topics(console(), as_json=as_json)
        return
    checked = run(operating.topics(settings(), partitions, replication))
    reporting.checked_topics(console(), checked, as_json=as_json)
    if checked.wrong:
        raise typer.Exit(ExitCode.SETUP)


@app.command()
def status(as_json: AsJson = False) -> None:
    """What to look at first: progress, what waits, dead letters.

    Progress by partition is what is applied; Kafka's committed offsets are what is published.
    """
    from workers import reporting

    show(reporting.status(settings()), as_json=as_json)


@app.command()
def holds(workspace: OfWorkspace = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Sends that wait for a person.

    Those that expire first are on top. Texts are not shown here; the view sluice.held_sends has them.
    """
    from workers import reporting

    show(reporting.holds(settings(), workspace, limit), as_json=as_json)


@app.command()
def mac(
    workspace: OfWorkspace = None,
    since: Annotated[str | None, typer.Option(help="Only cycles that end after this moment (RFC 3339).")] = None,
    contact: Annotated[UUID | None, typer.Option(help="Explain this contact; needs --workspace and --cycle.")] = None,
    cycle: Annotated[str | None, typer.Option(help="The cycle's start (RFC 3339), as `sluice mac` shows it.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Monthly active contacts, or why one contact counts.

    Counts by workspace and cycle, the newest cycle first; adjustments are what came after a cycle was closed.
    """
    from workers import reporting

    configured = settings()
    if contact is None:
        show(reporting.mac(configured, workspace, moment(since, "--since"), limit), as_json=as_json)
        return
    start = moment(cycle, "--cycle")
    if workspace is None or start is None:
        raise SettingsError("--contact needs --workspace and --cycle: a contact counts in a cycle of a workspace")
    show(reporting.explain_mac(configured, workspace, start, contact), as_json=as_json)
