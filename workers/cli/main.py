"""The `sluice` command.

Exit codes: 0 clean, 1 fault, 2 settings, rights, migrations or topics, 3 bad-record limit, 4 fenced. Each command
imports what it needs when it runs: help is quick, and only what the command uses must be installed.
"""

import sys
from traceback import format_exception
from typing import Annotated, Final
from uuid import UUID

import typer
from typer.main import get_command

from workers.cli import (
    connector_commands,
    customer_commands,
    dead_letter_commands,
    dev_command,
    engine_commands,
    hold_commands,
    import_commands,
    mac_commands,
    mac_list_commands,
    progress_commands,
    record_commands,
    run_commands,
    send_commands,
    server_commands,
    topic_commands,
    user_commands,
    workspace_commands,
)
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import (
    AsJson,
    Limit,
    OfWorkspace,
    Wide,
    run_to_end,
    settings,
    show,
    show_page,
)
from workers.cli.twins.group import WithImpacts, WithTwins
from workers.errors import ExitCode, SettingsError, SluiceError
from workers.terminal_text import visible_lines

WORKER_NAMES: Final = ("inbound", "outbound", "commands", "workflows", "billing", "upkeep", "all")

app = typer.Typer(
    cls=WithTwins,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Message-ingestion workers: they read Kafka, decide exactly once in PostgreSQL, and publish to Kafka.\n\n"
    "Settings are environment variables SLUICE_…, or lines of .env in the working folder; see docs/settings.md.",
)

app.add_typer(dead_letter_commands.app, name="dead-letters")
app.add_typer(hold_commands.app, name="holds")
app.add_typer(send_commands.app, name="sends")
app.add_typer(run_commands.app, name="runs")
mac_commands.app.command("contacts")(mac_list_commands.contacts)
mac_commands.app.command("adjustments")(mac_list_commands.adjustments)
app.add_typer(mac_commands.app, name="mac")
app.add_typer(
    typer.Typer(cls=WithImpacts, no_args_is_help=True, help="Show what a command would touch, before it is given."),
    name="impact",
)
app.add_typer(progress_commands.app, name="progress")
app.add_typer(record_commands.app, name="records")
app.add_typer(engine_commands.app, name="engine")
app.add_typer(customer_commands.profiles, name="profiles")
app.add_typer(customer_commands.contacts, name="contacts")
app.add_typer(import_commands.app, name="import")
app.add_typer(user_commands.users, name="users")
app.add_typer(user_commands.tokens, name="tokens")
app.add_typer(workspace_commands.commands, name="commands")


@app.callback()
def every(_version: server_commands.OwnVersion = False) -> None:
    """Options without a command."""


def main() -> None:
    """Entry point. Prints errors that an operator can repair to standard error, and returns their exit code."""
    sys.excepthook = _fault
    try:
        _refuse_what_is_no_text(sys.argv)
        get_command(app)()
    except SluiceError as error:
        print(visible_lines(f"sluice: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)


def _refuse_what_is_no_text(arguments: list[str]) -> None:
    for number, argument in enumerate(arguments):
        if not argument.isascii() and any("\ud800" <= character <= "\udfff" for character in argument):
            raise SettingsError(f"argument {number} is no UTF-8 text: {argument!r}")


def _fault(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
    print(visible_lines("".join(format_exception(error))), file=sys.stderr)


@app.command()
def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Stay up with the day and a console, until Ctrl-C; prints a link to it.")
    ] = False,
) -> None:
    """Play a recorded day through every worker; check the figures.

    PostgreSQL and a broker run embedded, in a temporary folder. Prints what was accepted, dropped, held, halted and
    counted, and why. Exit code 0 only if the figures reconcile.
    """
    from workers.dev.demo import demo as play

    raise typer.Exit(play(stay=stay))


app.command("dev")(dev_command.dev)


@app.command()
def worker(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help=f"Any of {', '.join(WORKER_NAMES)}.", autocompletion=lambda: list(WORKER_NAMES)
        ),
    ],
    accept_bad_until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC/PARTITION/OFFSET",
            help="Bad records before this offset become dead letters and do not halt the worker. May be repeated.",
        ),
    ] = None,
) -> None:
    """Run workers against the configured servers, until SIGTERM.

    They share this process. More processes share the work, up to one for each partition. Exit codes: 0 clean stop; 1
    fault, also when a server is unreachable for a minute; 2 settings, rights, missing migration or topics; 3 bad-record
    limit: the worker halted; 4 a batch in flight was fenced.
    """
    unknown = sorted(set(names) - set(WORKER_NAMES))
    if unknown:
        raise SettingsError(f"no worker is called {unknown[0]!r}; expected any of {', '.join(WORKER_NAMES)}")
    from workers.app import write_commands

    raise typer.Exit(write_commands.work(names, accept_bad_until or ()))


app.command("migrate")(server_commands.migrate)
app.command("topics")(topic_commands.topics)
app.command("status")(server_commands.status)
app.command("doctor")(server_commands.doctor)
app.command("version")(server_commands.version)


@app.command("may-send")
def may_send(
    workspace: InWorkspace,
    channel: Annotated[
        str, typer.Option("--channel", metavar="CHANNEL", help="The id of a channel, or a kind, such as whatsapp.")
    ],
    contact: Annotated[UUID | None, typer.Option("--contact", metavar="ID", help="To this contact.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="To this address, as somebody types it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a contact or an address may be written to now.

    All reasons against it are shown, by the same rules as for requests and claims. With SLUICE_HASH_KEY it also knows
    what deleted contacts leave: blocks and opt-outs of their addresses. Exit code 0: a send would be dispatched; 1: it
    would be refused or held, or there is no such workspace or channel.
    """
    from workers.cli import may_send

    if (contact is None) == (address is None):
        raise SettingsError("say to whom: either --contact or --address")
    answer = run_to_end(may_send.asked(settings(), workspace, contact, address, channel))
    show_page(answer, may_send.page, as_json=as_json)
    if not answer["allowed"]:
        raise typer.Exit(ExitCode.FAULT)


@app.command()
def deletions(workspace: OfWorkspace = None, limit: Limit = 100, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show deletions of contacts, and how far their history is erased.

    Those under way are on top. done counts the contacts of which nothing is left; finished_at is set once all that was
    queued for Kafka by then is published. Exit code 1: there is no such workspace.
    """
    from workers.cli import reports

    show(reports.deletions(settings(), workspace, limit), as_json=as_json, wide=wide)


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP API and the console, until SIGTERM.

    The API is under /api/v1, the console under /. Its login needs the role sluice_console; `sluice migrate
    --console-env` creates one. Exit codes as those of workers.
    """
    from console.process import serving

    raise typer.Exit(serving(settings(), host, port))


app.command("workspaces")(workspace_commands.workspaces)
app.command("settings")(workspace_commands.settings)
app.command("audit")(workspace_commands.audit)
app.command("events")(workspace_commands.events)
app.command("merges")(workspace_commands.merges)
app.command("merge-suggestions")(workspace_commands.merge_suggestions)
app.command("drops")(workspace_commands.drops)
app.command("receive")(connector_commands.receive)
app.command("send")(connector_commands.send)
app.command("simulate")(connector_commands.simulate)
app.add_typer(connector_commands.channels, name="channels")
app.add_typer(connector_commands.connectors, name="connectors")
