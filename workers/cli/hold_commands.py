"""`sluice holds`: lists and shows sends that wait for a person, confirms and rejects them."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import ActorId, AsJson, FromModule, Limit, OfWorkspace, Restrictions, RoleOf, Timeout, Wide
from workers.errors import SettingsError

if TYPE_CHECKING:
    from workers.cli.giving import CommandAnswer

app = typer.Typer(
    invoke_without_command=True,
    help="Sends that wait for a person: list, show, confirm, reject.",
)

SendId = Annotated[UUID | None, typer.Argument(metavar="SEND_ID", help="The id of the send, as listed.")]
GroupId = Annotated[
    str | None, typer.Option("--group", metavar="ID", help="All sends of this group that wait at that moment.")
]
CommandId = Annotated[
    UUID | None,
    typer.Option(
        "--command-id", help="The id of the command, random unless given: given twice it is carried out once."
    ),
]


@app.callback()
def holds(
    context: typer.Context,
    workspace: OfWorkspace = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Sends that wait for a person: list, show, confirm or reject them.

    Without a command it lists them.
    """
    if context.invoked_subcommand is None:
        list_(workspace=workspace, limit=limit, wide=wide, as_json=as_json)


@app.command("list")
def list_(
    workspace: OfWorkspace = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="ID", help="Only of this group; needs --workspace.")
    ] = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List sends that wait for a person.

    Those that expire first are on top. Texts are not shown here: `sluice holds show` has them. Exit code 1: there is no
    such workspace.
    """
    from workers.cli import reports

    if workspace is None and group is not None:
        raise SettingsError("--group needs --workspace: a group belongs to one")
    terminal.show(reports.holds(terminal.settings(), workspace, group, limit), as_json=as_json, wide=wide)


@app.command()
def show(
    send_id: Annotated[UUID, typer.Argument(metavar="SEND_ID", help="The id of the send, as listed.")],
    workspace: InWorkspace,
    as_json: AsJson = False,
) -> None:
    """Show a hold: to whom, what, why it waits, and what confirming does.

    What confirming does is judged now, and again when somebody confirms. Exit code 1: nothing waits under this id.
    """
    from workers.cli import holds

    shown = terminal.run_to_end(holds.shown(terminal.settings(), workspace, send_id))
    terminal.show_page(shown, holds.page, as_json=as_json)


@app.command()
def confirm(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    actor: ActorId,
    role: RoleOf,
    send_id: SendId = None,
    group: GroupId = None,
    module: FromModule = "api",
    restriction: Restrictions = None,
    command_id: CommandId = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Confirm a hold, or all holds of a group: they go out.

    Each is judged once more: it is refused if it may not be sent any more, and held once more for reasons that the hold
    did not show. The command is `sluice confirm-send`; the view sluice.send_confirmations keeps who confirmed what.
    Waits for the answer. Exit code 1: it is refused, or no answer came.
    """
    head = (workspace, actor, role, module, restriction, timeout)
    _give("confirm_send", head, send_id, group, command_id, as_json=as_json)


@app.command()
def reject(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    actor: ActorId,
    role: RoleOf,
    send_id: SendId = None,
    group: GroupId = None,
    module: FromModule = "api",
    restriction: Restrictions = None,
    command_id: CommandId = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Reject a hold, or all holds of a group: they never go out.

    The command is `sluice reject-send`. Waits for the answer. Exit code 1: it is refused, or no answer came.
    """
    head = (workspace, actor, role, module, restriction, timeout)
    _give("reject_send", head, send_id, group, command_id, as_json=as_json)


def _give(
    command: str,
    head: tuple[str, str, str, str, list[str] | None, float],
    send_id: UUID | None,
    group: str | None,
    command_id: UUID | None,
    *,
    as_json: bool,
) -> None:
    from uuid import uuid4

    from workers.cli.giving import giver_of
    from workers.cli.twins import running
    from workers.cli.twins.building import HEAD_WORDS
    from workers.rules import wording

    if (send_id is None) == (group is None):
        raise SettingsError("say which: either SEND_ID or --group")
    fields = {"send_id": send_id} if group is None else {"group_id": group}
    words = {"send_id": "SEND_ID", "group_id": "--group", **HEAD_WORDS}
    call = running.GivenCommand(giver_of(*head), command, command_id or uuid4(), fields, words, as_json)

    def told(answer: "CommandAnswer") -> str:
        return wording.answered(answer.changed, group)

    running.give_one(call, told)
