"""`sluice users` and `sluice tokens`: who uses the console and the API."""

from typing import Annotated

import typer

from workers.cli import terminal
from workers.cli.terminal import AsJson, Wide

users = typer.Typer(no_args_is_help=True, help="Users of the console: add, list, disable, change a password.")
tokens = typer.Typer(no_args_is_help=True, help="Tokens of the HTTP API: add, list, revoke.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Commands are audited under this name.")]
Role = Annotated[str, typer.Option("--role", help="owner, manager or agent.")]
Workspaces = Annotated[
    list[str] | None, typer.Option("--workspace", metavar="W", help="A workspace that is seen. May be repeated.")
]
Restrict = Annotated[
    list[str] | None,
    typer.Option("--restrict", help="What binds a manager: contact_deletion, data_export or settings. Repeatable."),
]
Operator = Annotated[bool, typer.Option("--operator", help="Sees all workspaces, and operations.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not from the terminal.")
]


@users.command("add")
def add_user(
    name: Name,
    role: Role,
    workspace: Workspaces = None,
    restrict: Restrict = None,
    operator: Operator = False,
    password_stdin: FromStdin = False,
    without_password: Annotated[
        bool, typer.Option("--no-password", help="For a user whom only a trusted proxy signs in.")
    ] = False,
) -> None:
    """Make a user of the console.

    Asks for the password twice; it has at least 10 characters. The name of a disabled user enables it again, with what
    is given here. Exit codes: 1, the name is taken; 2, an option does not fit.
    """
    from workers.cli import users as work

    person = work.person(name, role, workspace or (), restrict or (), is_operator=operator)
    password = work.password(None if without_password else name, from_stdin=password_stdin)
    terminal.run_to_end(work.added(terminal.settings(), person, password))
    print(f"{name} is a user now")
    terminal.run_to_end(work.warn_of_unknown(terminal.settings(), person))


@users.command("list")
def list_users(wide: Wide = False, as_json: AsJson = False) -> None:
    """List users, also disabled ones."""
    from workers.cli import users as work

    terminal.show(work.users(terminal.settings()), as_json=as_json, wide=wide)


@users.command("disable")
def disable(name: Name) -> None:
    """Disable a user at once: no login any more, and those that it has end.

    Exit code 1: there is no such user.
    """
    from workers.cli import users as work

    terminal.run_to_end(work.disabled(terminal.settings(), name))
    print(f"{name} is disabled")


@users.command("passwd")
def passwd(name: Name, password_stdin: FromStdin = False) -> None:
    """Change the password of a user; all logins that it has end.

    Exit code 1: there is no such user, or it is disabled.
    """
    from workers.cli import users as work

    terminal.run_to_end(work.changed(terminal.settings(), name, work.password(name, from_stdin=password_stdin)))
    print(f"{name} has another password now")


@tokens.command("add")
def add_token(
    name: Name,
    role: Role,
    workspace: Workspaces = None,
    restrict: Restrict = None,
    operator: Operator = False,
    as_json: AsJson = False,
) -> None:
    """Make a token of the API and print it: it is shown only now, and only its hash is kept.

    Exit codes: 1, a token of this name exists; 2, an option does not fit.
    """
    from workers.cli import reports
    from workers.cli import users as work

    person = work.person(name, role, workspace or (), restrict or (), is_operator=operator)
    token = terminal.run_to_end(work.token(terminal.settings(), person))
    if as_json:
        reports.as_document({"name": name, "token": token})
    else:
        print(token)
        terminal.run_to_end(work.warn_of_unknown(terminal.settings(), person))


@tokens.command("list")
def list_tokens(wide: Wide = False, as_json: AsJson = False) -> None:
    """List tokens, also revoked ones; never the tokens themselves."""
    from workers.cli import users as work

    terminal.show(work.tokens(terminal.settings()), as_json=as_json, wide=wide)


@tokens.command("revoke")
def revoke(name: Name) -> None:
    """Revoke a token at once.

    Exit code 1: there is no such token.
    """
    from workers.cli import users as work

    terminal.run_to_end(work.revoked(terminal.settings(), name))
    print(f"the token {name} is revoked")
