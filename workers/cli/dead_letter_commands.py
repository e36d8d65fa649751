"""`sluice dead-letters`: lists, shows, replays and dismisses poison records."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from workers.cli import terminal
from workers.cli.terminal import AsJson, Limit, Wide
from workers.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from workers.cli.dead_letters import Choice, LetterOutcome
    from workers.store.dead_letters import LetterFilter

app = typer.Typer(
    invoke_without_command=True,
    help="Dead letters: list, show, replay, dismiss.",
)

_LAST_ID: Final = 2**63 - 1  # the maximum in PostgreSQL

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID...", min=1, max=_LAST_ID, help="Ids of dead letters, as listed."),
]
ErrorContains = Annotated[
    str | None, typer.Option("--reason", help="Only errors that contain this text; case does not matter.")
]
FromTopic = Annotated[str | None, typer.Option("--topic", help="Only of this input topic, without prefix.")]
Since = Annotated[str | None, typer.Option("--since", help="Only those first seen since this time (RFC 3339).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]


@app.callback()
def dead_letters(context: typer.Context, wide: Wide = False, as_json: AsJson = False) -> None:
    """Dead letters: list, show, replay or dismiss them.

    Their bytes are kept for 7 days and then erased; the rows stay.
    """
    if context.invoked_subcommand is None:
        list_(wide=wide, as_json=as_json)


@app.command("list")
def list_(
    status: Annotated[str, typer.Option(help="new, replayed, dismissed, or any.")] = "new",
    reason: ErrorContains = None,
    topic: FromTopic = None,
    since: Since = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first, without their content.

    New ones still need a decision. A replayed one that fails again is new again, and attempts counts up.
    """
    from workers.cli import dead_letters
    from workers.store.dead_letters import STATUSES, LetterFilter

    if status not in (*STATUSES, "any"):
        raise SettingsError(f"--status: expected any of {', '.join((*STATUSES, 'any'))}, got {status!r}")
    wanted = LetterFilter(
        status=None if status == "any" else status,
        reason=reason,
        topic=terminal.input_topic(topic, "--topic"),
        since=terminal.moment(since, "--since"),
        limit=limit,
    )
    terminal.show(dead_letters.listed(terminal.settings(), wanted), as_json=as_json, wide=wide)


@app.command()
def show(
    identity: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=_LAST_ID, help="The id of the dead letter, as listed.")
    ],
    content: Annotated[
        bool, typer.Option("--content", help="Print key and value as well: they may be personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter; its content only with --content.

    Prints its error, its source and its headers. Bytes that are no UTF-8 text are shown in Base64.
    """
    from workers.cli import dead_letters, reports, tables

    letter = terminal.run_to_end(dead_letters.shown(terminal.settings(), identity))
    document = dead_letters.described(letter) | (dead_letters.content(letter) if content else {})
    if as_json:
        reports.as_document(document)
    else:
        print(tables.lines(document))


@app.command()
def replay(
    ids: Ids = None,
    reason: ErrorContains = None,
    topic: FromTopic = None,
    since: Since = None,
    limit: Limit = 100,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Maximum number of records per second.")] = 100,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send records through their input topic again.

    Use it after the cause is repaired. Give ids, or conditions, which choose among the new ones. A replayed record is
    applied like any other: once, by its id, and with its own event time. If it fails again, the same dead letter is new
    again. Exit code 1 if any could not be replayed: its content was not kept, or is erased by now.
    """
    from workers.cli import dead_letters

    choice = _choice(ids, _wanted(reason, topic, since, limit))
    settings = terminal.settings()
    work = dead_letters.previewed(settings, choice) if dry_run else dead_letters.replayed(settings, choice, rate)
    _tell(terminal.run_to_end(work), choice, as_json=as_json)


@app.command()
def dismiss(
    ids: Ids = None,
    reason: ErrorContains = None,
    topic: FromTopic = None,
    since: Since = None,
    limit: Limit = 100,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Leave records alone for good.

    Dismissed dead letters are not new any more and do not count for the bad-record limit. Give ids, or conditions,
    which choose among the new ones.
    """
    from workers.cli import dead_letters

    choice = _choice(ids, _wanted(reason, topic, since, limit))
    settings = terminal.settings()
    work = dead_letters.to_dismiss(settings, choice) if dry_run else dead_letters.dismissed(settings, choice)
    _tell(terminal.run_to_end(work), choice, as_json=as_json)


def _wanted(reason: str | None, topic: str | None, since: str | None, limit: int) -> "LetterFilter | None":
    from workers.store.dead_letters import LetterFilter

    if reason is None and topic is None and since is None:
        return None
    since_when = terminal.moment(since, "--since")
    return LetterFilter(reason=reason, topic=terminal.input_topic(topic, "--topic"), since=since_when, limit=limit)


def _choice(ids: list[int] | None, wanted: "LetterFilter | None") -> "Choice":
    if ids and wanted:
        raise SettingsError("give either ids or conditions (--reason, --topic, --since)")
    if ids:
        return ids
    if wanted is None:
        raise SettingsError("say which: ids, or conditions (--reason, --topic, --since)")
    return wanted


def _tell(outcomes: "list[LetterOutcome]", choice: "Choice", *, as_json: bool) -> None:
    from workers.cli import reports
    from workers.store.dead_letters import LetterFilter

    rows = [outcome._asdict() for outcome in outcomes]
    report = reports.Report({"dead letters": rows}, hint="There is no such dead letter.")
    reports.show(terminal.console, report, as_json=as_json)
    if isinstance(choice, LetterFilter):
        terminal.say_if_all(len(outcomes), choice.limit)
    if any(outcome.reason for outcome in outcomes):
        raise typer.Exit(ExitCode.FAULT)
