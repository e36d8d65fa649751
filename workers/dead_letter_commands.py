"""`sluice dead-letters`: records that could not be understood, and what to do with them."""

from typing import TYPE_CHECKING, Annotated

import typer

from workers import terminal
from workers.errors import ExitCode, SettingsError
from workers.terminal import AsJson, Limit

if TYPE_CHECKING:
    from workers.letters import Choice, Outcome
    from workers.store.dead_letters import Wanted

app = typer.Typer(
    invoke_without_command=True,
    help="Records that could not be understood: list, show, replay or dismiss them.",
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID...", help="These letters, by the ids of the list.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only errors that contain this, in either case.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Only from this input topic, without prefix.")]
Since = Annotated[str | None, typer.Option("--since", help="Only those first seen since this moment (RFC 3339).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")]


@app.callback()
def dead_letters(context: typer.Context, as_json: AsJson = False) -> None:
    """Records that could not be understood: list, show, replay or dismiss them.

    Their bytes are kept for 7 days and then erased; the rows stay.
    """
    if context.invoked_subcommand is None:
        list_(as_json=as_json)


@app.command("list")
def list_(
    status: Annotated[str, typer.Option(help="new, replayed, dismissed, or any.")] = "new",
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """The letters, oldest first, without their content.

    Nobody has looked after those that are new. What is replayed and fails again is new again, and attempts counts.
    """
    from workers import letters
    from workers.store.dead_letters import STATUSES, Wanted

    if status not in (*STATUSES, "any"):
        raise SettingsError(f"--status: expected any of {', '.join((*STATUSES, 'any'))}, got {status!r}")
    wanted = Wanted(None if status == "any" else status, reason, topic, terminal.moment(since, "--since"), limit)
    terminal.show(letters.listed(terminal.settings(), wanted), as_json=as_json)


@app.command()
def show(
    identity: Annotated[int, typer.Argument(metavar="ID", help="The letter's id, as the list shows it.")],
    content: Annotated[
        bool, typer.Option("--content", help="Key and value as well: they may be personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """One letter; its content only with --content.

    Its error, where it came from, and its headers. What is no UTF-8 text is shown in Base64.
    """
    from workers import letters, reporting

    letter = terminal.run(letters.shown(terminal.settings(), identity))
    document = letters.described(letter) | (letters.content(letter) if content else {})
    if as_json:
        reporting.as_document(document)
    else:
        print(reporting.as_lines(document))


@app.command()
def replay(
    ids: Ids = None,
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    limit: Limit = 100,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="At most so many a second.")] = 100,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send records through their input topic again.

    For after the cause was mended. Give ids, or conditions: those choose among the new ones. A replayed record is
    applied like any other: once, by its id, and with its own event time. If it fails again, the same letter is new
    again. Exit code 1 if any could not be replayed: its content was not kept, or is erased by now.
    """
    from workers import letters

    choice = _choice(ids, _wanted(reason, topic, since, limit))
    settings = terminal.settings()
    work = letters.previewed(settings, choice) if dry_run else letters.replayed(settings, choice, rate)
    _tell(terminal.run(work), choice, as_json=as_json)


@app.command()
def dismiss(
    ids: Ids = None,
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    limit: Limit = 100,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Leave records alone for good.

    They are no news any more, and do not count when the line is about to stop. Give ids, or conditions: those choose
    among the new ones.
    """
    from workers import letters

    choice = _choice(ids, _wanted(reason, topic, since, limit))
    settings = terminal.settings()
    work = letters.to_dismiss(settings, choice) if dry_run else letters.dismissed(settings, choice)
    _tell(terminal.run(work), choice, as_json=as_json)


def _wanted(reason: str | None, topic: str | None, since: str | None, limit: int) -> "Wanted | None":
    from workers.store.dead_letters import Wanted

    if reason is None and topic is None and since is None:
        return None
    return Wanted(reason=reason, topic=topic, since=terminal.moment(since, "--since"), limit=limit)


def _choice(ids: list[int] | None, wanted: "Wanted | None") -> "Choice":
    if ids and wanted:
        raise SettingsError("give either ids or conditions (--reason, --topic, --since)")
    if ids:
        return ids
    if wanted is None:
        raise SettingsError("say which: ids, or conditions (--reason, --topic, --since)")
    return wanted


def _tell(outcomes: "list[Outcome]", choice: "Choice", *, as_json: bool) -> None:
    from workers import reporting
    from workers.store.dead_letters import Wanted

    rows = [outcome._asdict() for outcome in outcomes]
    report = reporting.Report({"dead letters": rows}, hint="There is no such dead letter.")
    reporting.show(terminal.console(), report, as_json=as_json)
    if isinstance(choice, Wanted) and len(outcomes) == choice.limit:
        typer.echo(f"That is all that --limit {choice.limit} allows; there may be more.", err=True)
    if any(outcome.reason for outcome in outcomes):
        raise typer.Exit(ExitCode.FAULT)
