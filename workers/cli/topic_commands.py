"""`sluice topics`: topics, and who may do what with them."""

from typing import Annotated, Final

import typer

from workers.cli.terminal import AsJson, Wide, console, run_to_end, settings
from workers.errors import ExitCode, SettingsError

_PRINCIPAL: Final = (
    "Whom a kind of program is, such as worker=User:sluice-worker. May be repeated. Printing has User:sluice-ROLE for "
    "every role unless given."
)


def topics(
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Of new topics: 12 unless given. Existing topics are compared."),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(min=1, max=9, help="Replicas of new topics: 1 unless given. Existing topics are compared."),
    ] = None,
    describe: Annotated[
        bool, typer.Option("--describe", help="Print the registry of topics, and change nothing.")
    ] = False,
    acls: Annotated[
        bool, typer.Option("--acls", help="Print the ACLs that each kind of program needs, and change nothing.")
    ] = False,
    apply_acls: Annotated[
        bool, typer.Option("--apply-acls", help="Set the missing ones of these, of each --principal. Takes none away.")
    ] = False,
    principal: Annotated[
        list[str] | None, typer.Option("--principal", metavar="ROLE=User:NAME", help=_PRINCIPAL)
    ] = None,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Create missing topics, check the others; print or set ACLs.

    Topics have LogAppendTime; content is kept for 7 days. Exit code 2 if an existing topic has other settings, or
    another number of partitions or replicas than you give.

    With --acls the output is a script of kafka-acls commands with the least that each kind of program needs; with
    --json a list. --apply-acls sets them itself: its login needs Alter and Describe on the cluster. Roles: worker,
    receiver, announcer, sender, console, replayer, webhook-replayer, engine-feed, billing, connector, inbox, engine.
    """
    from workers.cli import acls as acl_commands
    from workers.cli import reports

    if describe + acls + apply_acls > 1:
        raise SettingsError("give one of --describe, --acls and --apply-acls")
    if principal and not (acls or apply_acls):
        raise SettingsError("--principal belongs to --acls or --apply-acls")
    if describe:
        reports.describe_topics(console, as_json=as_json, wide=wide)
    elif acls:
        acl_commands.show(settings(), principal or (), as_json=as_json)
    elif apply_acls:
        acl_commands.apply(settings(), principal or (), as_json=as_json)
    else:
        _ensure(partitions, replication, as_json=as_json)


def _ensure(partitions: int | None, replication: int | None, *, as_json: bool) -> None:
    from workers.app import write_commands
    from workers.cli import reports

    checked = run_to_end(write_commands.ensure_topics(settings(), partitions, replication))
    reports.checked_topics(console(), checked, as_json=as_json)
    if checked.wrong:
        raise typer.Exit(ExitCode.SETUP)
