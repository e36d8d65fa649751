"""`sluice sends`: lists sends, shows one with its history, and how far a group is."""

from typing import Annotated, get_args
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import AsJson, Limit, OfWorkspace, Wide
from workers.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Sends: list, show, group.")


@app.command("list")
def list_(
    workspace: OfWorkspace = None,
    status: Annotated[
        str | None, typer.Option("--status", help="Only those that have this status, such as ambiguous or failed.")
    ] = None,
    contact: Annotated[
        UUID | None, typer.Option("--contact", metavar="ID", help="Only to this contact; needs --workspace.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="ID", help="Only of this group; needs --workspace.")
    ] = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List sends, those that changed last on top.

    `sluice sends list --status ambiguous` shows what a person has to settle. Without --workspace it shows at most 1,000
    of each. Exit code 1: there is no such workspace.
    """
    from schemas.outputs import SendState
    from workers.cli import sends

    known = get_args(SendState)
    if status is not None and status not in known:
        raise SettingsError(f"--status: expected any of {', '.join(known)}, got {status!r}")
    if workspace is None and (contact is not None or group is not None):
        raise SettingsError("--contact and --group need --workspace: each belongs to one")
    wanted = sends.SendFilter(workspace, contact, group, status, limit)
    terminal.show(sends.listed(terminal.settings(), wanted), as_json=as_json, wide=wide)


@app.command()
def show(
    send_id: Annotated[UUID, typer.Argument(metavar="SEND_ID", help="The id of the send.")],
    workspace: InWorkspace,
    as_json: AsJson = False,
) -> None:
    """Show a send: every attempt and what receipts said, who confirmed it, what can be done.

    Exit code 1: there is no such workspace or send.
    """
    from workers.cli import sends

    shown = terminal.run_to_end(sends.shown(terminal.settings(), workspace, send_id))
    terminal.show_page(shown, sends.page, as_json=as_json)


@app.command()
def group(
    group_id: Annotated[str, typer.Argument(metavar="GROUP_ID", help="The id of the group.")],
    workspace: InWorkspace,
    as_json: AsJson = False,
) -> None:
    """Show how far a group of sends is, by status.

    Those that went out, failed or never go are finished. Exit code 1: there is no such workspace or group.
    """
    from workers.cli import sends

    counted = terminal.run_to_end(sends.grouped(terminal.settings(), workspace, group_id))
    terminal.show_page(counted, sends.group_page, as_json=as_json)
