"""`sluice sends`: lists sends, shows one with its history, how far a group is, and asks for one."""

from typing import Annotated, get_args
from uuid import UUID, uuid4

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import ActorId, AsJson, Limit, OfWorkspace, Older, RoleOf, Timeout, Wide
from workers.errors import ExitCode, SettingsError

app = typer.Typer(no_args_is_help=True, help="Sends: list, show, group, request.")


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
    before: Older = None,
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
    if workspace is None and any(one is not None for one in (contact, group, before)):
        raise SettingsError("--contact, --group and --before need --workspace: each belongs to one")
    wanted = sends.SendFilter(workspace, contact, group, status, before, limit)
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


@app.command()
def request(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    channel: Annotated[str, typer.Option("--channel", metavar="ID", help="The id of the channel.")],
    text: Annotated[str, typer.Option("--text", help="The text of the message.")],
    actor: ActorId,
    role: RoleOf,
    contact: Annotated[UUID | None, typer.Option("--contact", metavar="ID", help="To this contact.")] = None,
    address: Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="To this address.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="The subject of an e-mail.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="The kind of a channel that has no record yet, such as whatsapp.")
    ] = None,
    group_id: Annotated[str | None, typer.Option("--group", metavar="ID", help="The group it belongs to.")] = None,
    send_id: Annotated[
        UUID | None,
        typer.Option("--send-id", help="The id of the send, random unless given. Given twice, it is sent once."),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Send the confirmation of the actor along: no protection holds it.")
    ] = False,
    timeout: Timeout = 30,
    as_json: AsJson = False,
) -> None:
    """Ask for one send, and wait until it is dispatched, held or refused.

    It is judged like every other request. `sluice may-send` says beforehand what protects the contact. Where the
    workspace wants two persons (two_person_confirm), --confirm is not enough: somebody else confirms the hold. Exit
    code 0: dispatched or held; 1: it does not go, or no status came; 2: wrong use or settings.
    """
    from schemas.inbound import Content
    from schemas.sends import Recipient, Requester
    from workers.cli import requesting, sends
    from workers.cli.giving import giver_of

    if (contact is None) == (address is None):
        raise SettingsError("say to whom: either --contact or --address")
    if not text:
        raise SettingsError("--text: expected a text")
    giver = giver_of(workspace, actor, role, None, None, timeout)
    wanted = requesting.Wanted(
        send_id=send_id or uuid4(),
        workspace_id=workspace,
        channel_id=channel,
        kind=kind,
        to=Recipient(contact_id=contact, address=address),
        content=Content(type="text", text=text, subject=subject),
        requested_by=Requester(id=giver.actor.id, role=giver.actor.role),
        group_id=group_id,
        confirmed=confirm,
        timeout_s=giver.timeout_s,
    )
    shown = terminal.run_to_end(requesting.requested(terminal.settings(), wanted))
    terminal.show_page(shown, sends.page, as_json=as_json)
    if requesting.never_goes(shown):
        raise typer.Exit(ExitCode.FAULT)
