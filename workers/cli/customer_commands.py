"""`sluice profiles` and `sluice contacts`: find and show customers and contacts, export contacts."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.terminal import ActorId, AsJson, FromModule, Restrictions, RoleOf, Timeout, Wide

profiles = typer.Typer(no_args_is_help=True, help="Profiles: find, show.")
contacts = typer.Typer(no_args_is_help=True, help="Contacts: find, show, export.")

InWorkspace = Annotated[str, typer.Option("--workspace", help="The workspace.")]
Some = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Maximum number of rows.")]


@profiles.command("find")
def find_profiles(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A part of the name; case does not matter.")],
    workspace: InWorkspace,
    limit: Some = 20,
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
    profile_id: Annotated[str, typer.Argument(metavar="PROFILE_ID", help="The id of the profile.")],
    workspace: InWorkspace,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show a profile: its fields, what protects it, its notes and contacts.

    Exit code 1: there is no such workspace or profile.
    """
    from workers.cli import customers

    terminal.show(customers.show_profile(terminal.settings(), workspace, profile_id), as_json=as_json, wide=wide)


@contacts.command("find")
def find_contacts(
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="An id, number or address; or a part of a name, number or e-mail address."
        ),
    ],
    workspace: InWorkspace,
    limit: Some = 20,
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
    contact_id: Annotated[UUID, typer.Argument(metavar="CONTACT_ID", help="The id of the contact.")],
    workspace: InWorkspace,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show a contact and its channels.

    Exit code 1: there is no such workspace or contact.
    """
    from workers.cli import customers

    terminal.show(customers.show_contact(terminal.settings(), workspace, contact_id), as_json=as_json, wide=wide)


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


def merges(workspace: InWorkspace, limit: Some = 20, wide: Wide = False, as_json: AsJson = False) -> None:
    """List merges of contacts, the newest on top.

    Exit code 1: there is no such workspace.
    """
    from workers.cli import customers

    terminal.show(customers.list_merges(terminal.settings(), workspace, limit), as_json=as_json, wide=wide)
