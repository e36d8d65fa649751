"""`sluice runs`: lists workflow runs, and shows why one was halted or refused."""

from typing import Annotated, Final
from uuid import UUID

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import AsJson, Limit, Older, Wide
from workers.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Workflow runs: list, show.")

STATES: Final = ("running", "halted", "refused", "finished")


@app.command("list")
def list_(
    workspace: InWorkspace,
    contact: Annotated[UUID | None, typer.Option("--contact", metavar="ID", help="Only of this contact.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help=f"Only those in this state: {', '.join(STATES)}.")
    ] = None,
    before: Older = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List runs, those that started last on top.

    With --contact it shows 1,000 at most. With --state alone it looks at the newest 100,000 runs. Exit code 1: there is
    no such workspace.
    """
    from workers.cli import reports, runs

    if state is not None and state not in STATES:
        raise SettingsError(f"--state: expected any of {', '.join(STATES)}, got {state!r}")
    if contact is not None and before is not None:
        raise SettingsError("--before goes without --contact: the newest runs of one contact are one page")
    listing = runs.listed(terminal.settings(), workspace, contact, state, before, limit)
    report, whole = terminal.run_to_end(listing)
    reports.show(terminal.console, report, as_json=as_json, wide=wide)
    terminal.say_if_all(len(report.tables["runs"]), limit, report.following)
    if not whole:
        terminal.say("Older runs were not looked at; --contact finds those of one contact.")


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of the run, as its engine gave it.")],
    workspace: InWorkspace,
    as_json: AsJson = False,
) -> None:
    """Show a run: why it was halted or refused, the runs above and below it, steps that wait.

    A step waits while a person decides about its send: `sluice holds show` tells more. Exit code 1: there is no such
    workspace or run.
    """
    from workers.cli import runs

    shown = terminal.run_to_end(runs.shown(terminal.settings(), workspace, run_id))
    terminal.show_page(shown, runs.page, as_json=as_json)
