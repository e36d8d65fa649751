"""`sluice profiles` and `sluice contacts`: customers and contacts, and their messages; export of contacts."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.terminal import ActorId, AsJson, FromModule, Older, PageSize, Restrictions, RoleOf, Timeout, Wide
from workers.errors import SettingsError

profiles = typer.Typer(no_args_is_help=True, help="Profiles: list, find, show, moments.")
contacts = typer.Typer(no_args_is_help=True, help="Contacts: list, find, show, channels, messages, export.")

InWorkspace = Annotated[str, typer.Option("--workspace", help="The workspace.")]
ProfileId = Annotated[str, typer.Argument(metavar="PROFILE_ID", help="The id of the profile.")]
ContactId = Annotated[UUID, typer.Argument(metavar="CONTACT_ID", help="The id of the contact.")]


@profiles.command("list")
def list_profiles(
    workspace: InWorkspace,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PROFILE_ID", help="Only profiles behind this one: the next page.")
    ] = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List profiles by name.

    Exit code 1: there is no such workspace, or no profile behind which to go on.
    """
    from workers.cli import customer_lists

    terminal.show(customer_lists.profiles(terminal.settings(), workspace, after, limit), as_json=as_json, wide=wide)


@profiles.command("find")
def find_profiles(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A part of the name; case does not matter.")],
    workspace: InWorkspace,
    limit: PageSize = 20,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Find profiles by a part of their name.

    Those whose name begins with it are on top. Exit code 1: there is no such workspace.
    """
    from workers.cli import customers

    terminal.show(customers.find_profiles(terminal.settings(), workspace, query, limit), as_json=as_json, wide=wide)


@profiles.command("show")
def show_profile(
    profile_id: ProfileId,
    workspace: InWorkspace,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show a profile: its fields, what protects it, its notes and contacts.

    Exit code 1: there is no such workspace or profile.
    """
    from workers.cli import customers

    terminal.show(customers.show_profile(terminal.settings(), workspace, profile_id), as_json=as_json, wide=wide)


@profiles.command("moments")
def show_moments(
    profile_id: ProfileId,
    workspace: InWorkspace,
    before: Older = None,
    limit: PageSize = 50,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show the messages of a profile's contacts, newest first.

    Of the contacts that are attached now, on all channels. Long texts are cut; --json has them whole, with the
    addresses of attachments. Exit code 1: there is no such workspace or profile.
    """
    from workers.cli import histories

    moments = histories.moments(terminal.settings(), workspace, profile_id, before, limit)
    terminal.show(moments, as_json=as_json, wide=wide)


@contacts.command("list")
def list_contacts(
    workspace: InWorkspace,
    tag: Annotated[str | None, typer.Option("--tag", help="Only contacts that have this tag, by id.")] = None,
    blocked: Annotated[
        bool, typer.Option("--blocked", help="Blocked contacts in their place, those that were blocked last on top.")
    ] = False,
    after: Annotated[
        UUID | None, typer.Option("--after", metavar="CONTACT_ID", help="Only contacts behind this one: the next page.")
    ] = None,
    before: Older = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List contacts that are not blocked, by name.

    With --blocked the next page is asked for with --before, else with --after. Exit code 1: there is no such workspace,
    or no contact behind which to go on.
    """
    from workers.cli import customer_lists

    if blocked and (tag is not None or after is not None):
        raise SettingsError("--blocked goes without --tag and --after")
    if before is not None and not blocked:
        raise SettingsError("--before belongs to --blocked; other pages begin with --after")
    if blocked:
        report = customer_lists.blocked(terminal.settings(), workspace, before, limit)
    else:
        report = customer_lists.contacts(terminal.settings(), workspace, tag, after, limit)
    terminal.show(report, as_json=as_json, wide=wide)


@contacts.command("find")
def find_contacts(
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="An id, number or address; or a part of a name, number or e-mail address."
        ),
    ],
    workspace: InWorkspace,
    limit: PageSize = 20,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Find contacts that are not blocked.

    A whole id, number or address is found at once; a part of one, or of a name, takes longer the more contacts the
    workspace has. Exit code 1: there is no such workspace.
    """
    from workers.cli import customers

    terminal.show(customers.find_contacts(terminal.settings(), workspace, query, limit), as_json=as_json, wide=wide)


@contacts.command("show")
def show_contact(
    contact_id: ContactId,
    workspace: InWorkspace,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show a contact: its fields, since when it is blocked and by whom, its channels.

    Of one that was merged into another the other.

    Exit code 1: there is no such workspace or contact.
    """
    from workers.cli import customers

    terminal.show(customers.show_contact(terminal.settings(), workspace, contact_id), as_json=as_json, wide=wide)


@contacts.command("channels")
def show_channels(
    contact_id: ContactId,
    workspace: InWorkspace,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show where a contact can be written to, channel by channel.

    active: an interaction took place. inactive: the first accepted send connects it. unavailable: the contact must
    write first. Exit code 1: there is no such workspace or contact.
    """
    from workers.cli import customers

    terminal.show(customers.show_channels(terminal.settings(), workspace, contact_id), as_json=as_json, wide=wide)


@contacts.command("messages")
def show_messages(
    contact_id: ContactId,
    workspace: InWorkspace,
    before: Older = None,
    limit: PageSize = 50,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show the conversation of a contact, newest first: messages, sends, comments.

    Dropped messages are not in it: `sluice drops` has them. Long texts are cut; --json has them whole. Exit code 1:
    there is no such workspace or contact.
    """
    from workers.cli import histories

    messages = histories.messages(terminal.settings(), workspace, contact_id, before, limit)
    terminal.show(messages, as_json=as_json, wide=wide)


@contacts.command("export")
def export_contacts(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    actor: ActorId,
    role: RoleOf,
    module: FromModule = "api",
    restriction: Restrictions = None,
    selection: Annotated[
        str | None, typer.Option("--selection", metavar="tag=TAG", help="Only contacts that have this tag.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write into this file, which only you may read.")
    ] = None,
    delimiter: Annotated[str, typer.Option("--delimiter", help="The character between cells.")] = ",",
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Export contacts that are not blocked, as CSV or JSON.

    The command export_contacts is given first: the export is audited, and refused to agents and to managers with the
    restriction data_export. Items of tags and lists have ; between them. An apostrophe stands before a text that a
    spreadsheet would take for a formula. `sluice import contacts` reads the file. Exit code 1: it is refused.
    """
    from workers.cli.bulk import exports
    from workers.cli.giving import giver_of

    giver = giver_of(workspace, actor, role, module, restriction, timeout)
    wanted = exports.Wanted(exports.tag_of(selection), delimiter, as_json=as_json)
    count = terminal.run_to_end(exports.export(terminal.settings(), giver, wanted, output))
    terminal.say(f"{count:,} contacts" + ("" if output is None else f" in {output}"))
