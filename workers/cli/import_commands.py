"""`sluice import`: contacts and profiles from CSV files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli import terminal
from workers.cli.terminal import ActorId, AsJson, FromModule, Restrictions, RoleOf, Timeout
from workers.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from workers.cli.bulk.imports import CheckedRows, ImportOutcome
    from workers.cli.bulk.rows import Sheet
    from workers.cli.giving import Giver

app = typer.Typer(no_args_is_help=True, help="Import contacts and profiles from CSV files.")

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="A CSV file in UTF-8 with names of columns.")]
InWorkspace = Annotated[str, typer.Option("--workspace", help="The workspace.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check every row, and give nothing.")]
SkipWrong = Annotated[
    bool, typer.Option("--skip-wrong", help="Import the other rows if some are wrong; else none is imported.")
]
Delimiter = Annotated[str, typer.Option("--delimiter", help="The character between cells.")]
Again = Annotated[
    str,
    typer.Option(
        "--again",
        metavar="NAME",
        help="Any text: rows that were imported before under another name, or none, are imported again.",
    ),
]


@app.command()
def contacts(  # noqa: PLR0913, PLR0917 - an argument is an option
    file: File,
    workspace: InWorkspace,
    actor: ActorId,
    role: RoleOf,
    module: FromModule = "api",
    restriction: Restrictions = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="The kind of channel of rows without one: whatsapp, email, …")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write fields and tags also into contacts that are known already.")
    ] = False,
    dry_run: DryRun = False,
    skip_wrong: SkipWrong = False,
    again: Again = "",
    delimiter: Delimiter = ",",
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Create a contact for each row.

    Columns: address, channel, channel_id, first_name, last_name, country, language, email, phone, assignee, tags and
    custom.NAME. Items of tags and lists have ; between them. An empty cell gives nothing. Columns that only an export
    has are left out.

    Every row is checked first. Each becomes a command whose id is made from what the row holds: import the same file
    again after an interruption, or a corrected one, and what is there stays as it is. Exit code 1: rows are wrong or
    refused.
    """
    from workers.cli.bulk.rows import Sheet
    from workers.cli.giving import giver_of

    giver = giver_of(workspace, actor, role, module, restriction, timeout)
    sheet = Sheet(workspace, "contacts", channel=channel, again=again, update=update)
    _import(giver, file, sheet, delimiter, dry_run=dry_run, skip_wrong=skip_wrong, as_json=as_json)


@app.command()
def profiles(  # noqa: PLR0913, PLR0917 - an argument is an option
    file: File,
    workspace: InWorkspace,
    actor: ActorId,
    role: RoleOf,
    module: FromModule = "api",
    restriction: Restrictions = None,
    dry_run: DryRun = False,
    skip_wrong: SkipWrong = False,
    again: Again = "",
    delimiter: Delimiter = ",",
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Create a profile for each row.

    Columns: name, profile_id and custom.NAME. Two rows that hold the same are one profile, in one file and in several.
    The rest is as for contacts.
    """
    from workers.cli.bulk.rows import Sheet
    from workers.cli.giving import giver_of

    giver = giver_of(workspace, actor, role, module, restriction, timeout)
    sheet = Sheet(workspace, "profiles", again=again)
    _import(giver, file, sheet, delimiter, dry_run=dry_run, skip_wrong=skip_wrong, as_json=as_json)


def _import(
    giver: "Giver", file: Path, sheet: "Sheet", delimiter: str, *, dry_run: bool, skip_wrong: bool, as_json: bool
) -> None:
    from workers.cli.bulk import imports

    if len(delimiter) != 1:
        raise SettingsError(f"--delimiter: expected one character, got {delimiter!r}")
    settings = terminal.settings()
    at_hand = terminal.run_to_end(imports.checker(settings, giver, sheet))
    source = imports.Source(file, delimiter, at_hand.sheet)
    found = imports.check(source, at_hand)
    outcome = None
    if not dry_run and (skip_wrong or not found.wrong):
        outcome = terminal.run_to_end(imports.give(settings, source, at_hand, found.rows))
    _report(found, outcome, as_json=as_json)
    if found.wrong or (outcome is not None and outcome.tally.refused):
        raise typer.Exit(ExitCode.FAULT)


def _report(found: "CheckedRows", outcome: "ImportOutcome | None", *, as_json: bool) -> None:
    from workers.cli import reports, tables
    from workers.cli.bulk.stream import show_tally

    head: dict[str, Any] = {"rows": found.rows, "wrong": found.wrong}
    if as_json:
        head["wrong_rows"] = found.wrong_rows
    elif found.wrong_rows:
        tables.show(terminal.console(), "wrong rows", found.wrong_rows)
        print()
    if outcome is not None:
        counts = {**head, "created": outcome.created, "known": outcome.known}
        show_tally(outcome.tally, counts, as_json=as_json)
    elif as_json:
        reports.as_document(head)
    else:
        print(tables.lines(head))
    if not as_json and found.wrong > len(found.wrong_rows):
        terminal.say(f"{found.wrong - len(found.wrong_rows):,} more rows are wrong.")
