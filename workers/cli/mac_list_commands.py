"""`sluice mac contacts` and `sluice mac adjustments`: who counts in a cycle, and what was adjusted after it closed."""

from typing import Annotated

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.mac_commands import OfCycle
from workers.cli.terminal import AsJson, Older, PageSize, Wide


def contacts(
    workspace: InWorkspace,
    cycle: OfCycle,
    before: Older = None,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List who counts in a cycle, those that were counted last on top.

    Each with its earliest counted message. `sluice mac export` writes all of them. Exit code 1: there is no such
    workspace or cycle.
    """
    from workers.cli import mac_lists

    start = terminal.required_moment(cycle, "--cycle")
    report = mac_lists.contacts(terminal.settings(), workspace, start, before, limit)
    terminal.show(report, as_json=as_json, wide=wide)


def adjustments(
    workspace: InWorkspace,
    cycle: OfCycle,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="ID", help="Only adjustments behind this one: the next page.")
    ] = 0,
    limit: PageSize = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List what a cycle was adjusted by after it had closed, oldest first.

    Each with its cause; they come to -1, 0 or +1 for a contact. Exit code 1: there is no such workspace or cycle.
    """
    from workers.cli import mac_lists

    start = terminal.required_moment(cycle, "--cycle")
    report = mac_lists.adjustments(terminal.settings(), workspace, start, after, limit)
    terminal.show(report, as_json=as_json, wide=wide)
