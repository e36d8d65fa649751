"""Workspaces, and lists of one: its settings, who did what, merges, what is suggested to merge, dropped messages."""

from typing import Annotated, Final
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import AsJson, Limit, OfWorkspace, Older, PageSize, Wide
from workers.errors import SettingsError

EVENT_KINDS: Final = ("holds", "results", "blocks", "cycles", "messages", "letters")

commands = typer.Typer(
    no_args_is_help=True, help="Commands that were given: show. Each command is a command of its own."
)


def workspaces(
    after: Annotated[
        str, typer.Option("--after", metavar="WORKSPACE", help="Only workspaces behind this one: the next page.")
    ] = "",
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List workspaces by id, with their settings.

    Those that were set last, also where they hold from the next cycle on; `sluice settings` shows since when.
    """
    from workers.cli import configured

    terminal.show(configured.workspaces(terminal.settings(), after, limit), as_json=as_json, wide=wide)


def settings(workspace: InWorkspace, limit: Limit = 1000, wide: Wide = False, as_json: AsJson = False) -> None:
    """Show what is configured in a workspace.

    Its settings, those in effect and those that will be, each with when it begins to hold; channels, statuses,
    companies, custom fields and tags. `sluice configure-workspace`, `configure-channel` and `define-…` change them.
    --limit is about each of them. Exit code 1: there is no such workspace.
    """
    from workers.cli import configured

    terminal.show(configured.settings_of(terminal.settings(), workspace, limit), as_json=as_json, wide=wide)


def audit(
    workspace: InWorkspace,
    actor: Annotated[str | None, typer.Option("--actor", metavar="ID", help="Only what this person gave.")] = None,
    command: Annotated[
        str | None, typer.Option("--command", metavar="NAME", help="Only this command, such as block-contact.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what was applied from this time on.")
    ] = None,
    before: Older = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List who gave which command, and its result.

    The newest is on top. Also refused ones. `sluice commands show` tells what one of them changed. Exit code 1: there
    is no such workspace.
    """
    from workers.cli import audit
    from workers.cli.twins.building import short_names
    from workers.store.page_reports import Audited

    name = None if command is None else short_names().get(command, command).replace("-", "_")
    wanted = Audited(actor, name, terminal.moment(since, "--since"))
    terminal.show(audit.listed(terminal.settings(), workspace, wanted, before, limit), as_json=as_json, wide=wide)


def events(
    workspace: OfWorkspace = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help=f"Only events of this kind: {', '.join(EVENT_KINDS)}. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document in each line.")] = False,
) -> None:
    """Tell what happens, as it happens.

    Until Ctrl-C or SIGTERM: holds and what becomes of them, results of commands, blocks, changes of counts, messages;
    without --workspace also dead letters. Ids and states, never a text or an address. It begins with what happens from
    then on, and needs Kafka alone. Exit code 1: Kafka does not answer; 2: a topic is missing, or Kafka refuses.
    """
    from workers.cli import events

    if unknown := sorted(set(kind or ()) - set(EVENT_KINDS)):
        raise SettingsError(f"--kind: expected any of {', '.join(EVENT_KINDS)}, got {unknown[0]!r}")
    events.follow(terminal.settings(), events.Wanted(workspace, frozenset(kind or EVENT_KINDS), as_json))


@commands.command("show")
def show_command(
    command_id: Annotated[UUID, typer.Argument(metavar="COMMAND_ID", help="The id of the command, as it was given.")],
    workspace: InWorkspace,
    as_json: AsJson = False,
) -> None:
    """Show what became of a command: its result, why it was refused, what it changed.

    `sluice audit --wide` lists their ids. Exit code 1: there is no such workspace, or no result yet.
    """
    from workers.cli import audit

    told = terminal.run_to_end(audit.command(terminal.settings(), workspace, command_id))
    terminal.show_page(told, audit.command_page, as_json=as_json)


def merges(
    workspace: InWorkspace, before: Older = None, limit: PageSize = 20, wide: Wide = False, as_json: AsJson = False
) -> None:
    """List merges of contacts, the newest on top.

    Exit code 1: there is no such workspace.
    """
    from workers.cli import customer_lists

    terminal.show(customer_lists.merges(terminal.settings(), workspace, before, limit), as_json=as_json, wide=wide)


def merge_suggestions(
    workspace: InWorkspace,
    contact: Annotated[
        UUID | None, typer.Option("--contact", metavar="ID", help="Only contacts that share a value with this one.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="FIELD:VALUE", help="Only what comes behind it: the next page.")
    ] = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List contacts that share a number or an address.

    `sluice merge` merges two of them. Blocked contacts are left out. Exit code 1: there is no such workspace.
    """
    from workers.cli import customer_lists

    if contact is not None and after is not None:
        raise SettingsError("--after goes without --contact: those of one contact are one page")
    report = customer_lists.suggestions(terminal.settings(), workspace, contact, after, limit)
    terminal.show(report, as_json=as_json, wide=wide)


def drops(
    workspace: InWorkspace,
    contact: Annotated[UUID | None, typer.Option("--contact", metavar="ID", help="Only of this contact.")] = None,
    before: Older = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List dropped messages: why, and whether they count.

    The latest is on top. rule says by which setting a dropped message counts or not: see docs/billing.md. `sluice
    release-dropped` accepts those that a mistaken block dropped. Exit code 1: there is no such workspace.
    """
    from workers.cli import histories

    report = histories.drops(terminal.settings(), workspace, contact, before, limit)
    terminal.show(report, as_json=as_json, wide=wide)
