"""`sluice mac`: lists monthly active contacts, explains one contact, exports and draws counts, closes a cycle."""

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import typer

from workers.cli import terminal
from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import ActorId, AsJson, FromModule, Limit, OfWorkspace, RoleOf, Timeout, Wide
from workers.errors import ExitCode, SettingsError

app = typer.Typer(invoke_without_command=True)

OfCycle = Annotated[str, typer.Option("--cycle", metavar="TIME", help="The cycle that begins at this time, as listed.")]
SomeCycle = Annotated[
    str | None, typer.Option("--cycle", metavar="TIME", help="Only the cycle that begins at this time, as listed.")
]
OfAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME", help="Only workspaces of this billing account, and what they come to."),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only cycles that end after this time (RFC 3339).")
]

Form = Annotated[
    Literal["csv", "jsonl", "parquet", "stripe", "lago", "openmeter"],
    typer.Option("--format", help="csv, jsonl and parquet: rows. stripe, lago and openmeter: usage events."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write into this file; it appears once it is whole.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an export of rows into the same file was killed.")]
MeterName = Annotated[
    str, typer.Option("--meter", metavar="NAME", help="What the service calls the meter (Lago: the metric's code).")
]
Customer = Annotated[
    str | None,
    typer.Option(
        "--customer",
        metavar="ID",
        help="Whom the service knows the workspace by (Lago: the subscription). The workspace unless given.",
    ),
]
Dated = Annotated[
    Literal["cycle", "closing"],
    typer.Option("--dated", help="When the figure's event lies: in the last second of the cycle, or at its closing."),
]
KnownSince = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only usage events of what became known from this time on."),
]


@app.callback()
def mac(
    context: typer.Context,
    workspace: OfWorkspace = None,
    account: OfAccount = None,
    since: Since = None,
    cycle: SomeCycle = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Monthly active contacts: list, contacts, adjustments, explain, verify, export, chart, close.

    Without a command it lists the counts. A cycle is named by its cycle_start as listed, in UTC. Times are RFC 3339; a
    date alone is its first instant. docs/billing.md says what counts, and what to do at the end of a month.
    """
    if context.invoked_subcommand is None:
        list_(workspace=workspace, account=account, since=since, cycle=cycle, limit=limit, wide=wide, as_json=as_json)


@app.command("list")
def list_(
    workspace: OfWorkspace = None,
    account: OfAccount = None,
    since: Since = None,
    cycle: SomeCycle = None,
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List counts by workspace and cycle, the newest cycle first.

    Adjustments are changes after a cycle was closed. With --account it also sums up the cycles that begin on the same
    day, each on the clock of its workspace, and --limit is about the sums. Exit code 1: there is no such workspace,
    account or cycle.
    """
    from workers.cli import mac, mac_accounts

    wanted = mac.CountFilter(workspace, terminal.moment(cycle, "--cycle"), terminal.moment(since, "--since"), limit)
    if account is None:
        report = mac.mac(terminal.settings(), wanted)
    elif workspace is None:
        report = mac_accounts.of_account(terminal.settings(), account, wanted)
    else:
        raise SettingsError("--account and --workspace exclude each other")
    terminal.show(report, as_json=as_json, wide=wide)


@app.command()
def explain(
    workspace: InWorkspace,
    cycle: OfCycle,
    contact: Annotated[UUID, typer.Option("--contact", metavar="ID", help="The contact.")],
    limit: Limit = 100,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Explain whether one contact counts in a cycle, and why.

    Says it in a sentence, and shows the contact's messages in that cycle, the proof on top, each with the rule that
    decides about it. Also of merged and deleted contacts. Exit code 1: there is no such workspace, cycle or contact.
    """
    from workers.cli import mac, reports

    start = terminal.required_moment(cycle, "--cycle")
    document = terminal.run_to_end(mac.explained(terminal.settings(), workspace, start, contact, limit))
    if as_json:
        reports.as_document(document)
    else:
        mac.show_explained(terminal.console, document, wide=wide)
    terminal.say_if_all(len(document["messages"]), limit)


@app.command()
def export(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    cycle: OfCycle,
    form: Form,
    out: Out = None,
    resume: Resume = False,
    meter: MeterName = "monthly_active_contacts",
    customer: Customer = None,
    dated: Dated = "cycle",
    since: KnownSince = None,
    as_json: AsJson = False,
) -> None:
    """Export a cycle: who counts, or usage events.

    Rows (csv, jsonl, parquet): a row for each contact with its earliest counted message, by contact_id, then one for
    each adjustment; amount adds up to what is billed. Parquet needs --out and the package pyarrow. If an export of a
    closed cycle is killed, FILE.part stays, and --resume goes on with it.

    Usage events (stripe, lago, openmeter): one JSON document in each line, ready to be posted, for the figure and for
    each batch of adjustments. Their ids are always the same. Only of a closed cycle. An event that the service would
    not take is left out and told on standard error.

    Exit code 1: there is no such workspace or cycle, something is refused, or the rows are not as many as the count
    says.
    """
    from workers.cli import mac_export
    from workers.rules.mac_sheet import CycleName
    from workers.rules.usage_events import Meter

    of = CycleName(workspace, terminal.required_moment(cycle, "--cycle"))
    if as_json and out is None:
        raise SettingsError("--json needs --out: without it the export itself is on standard output")
    match form:
        case "csv" | "jsonl" | "parquet":
            if since is not None:
                raise SettingsError("--since is for usage events: the rows of a cycle are exported whole")
            rows = mac_export.RowsWanted(of, form, out, resume)
            mac_export.tell(terminal.run_to_end(mac_export.rows(terminal.settings(), rows)), out, as_json=as_json)
        case "stripe" | "lago" | "openmeter":
            if resume:
                raise SettingsError("--resume is for rows: usage events are few, and are written at once")
            to = Meter(form, meter, customer or workspace)
            events = mac_export.EventsWanted(of, to, dated, terminal.moment(since, "--since"), out)
            written = terminal.run_to_end(mac_export.events(terminal.settings(), events))
            mac_export.tell(written, out, as_json=as_json)
            if written["refused"]:
                raise typer.Exit(ExitCode.FAULT)


@app.command()
def chart(
    workspace: InWorkspace,
    cycle: Annotated[
        str | None, typer.Option("--cycle", metavar="TIME", help="The cycle that begins then, not the present one.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=0, max=5, help="How many cycles before it are drawn as well.")] = 3,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write an SVG file in place of the chart.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a cycle day by day against the last ones.

    The present cycle, unless you name another. A line shows how many contacts had become active until the end of each
    day, on the clock of the workspace's zone. Adjustments are not in it. Each cycle has a character of its own (in SVG:
    a style of line and a marker). Exit code 1: there is no such workspace or cycle, or no message yet.
    """
    from workers.cli import chart_output, mac_chart

    if as_json and svg is not None:
        raise SettingsError("give either --json or --svg")
    drawn = terminal.run_to_end(
        mac_chart.chart(terminal.settings(), workspace, terminal.moment(cycle, "--cycle"), last)
    )
    chart_output.show(drawn, svg, as_json=as_json)


@app.command()
def verify(
    workspace: OfWorkspace = None,
    cycle: SomeCycle = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Count again from the messages, and name each difference from what is stored.

    Applies the settings again to every message, also to those of which deletion and retention left no content. Compares
    the contacts with their messages, the counts with the contacts, and the cycles with the settings. Changes nothing
    and holds nobody up. `not_final` says why figures may still change by themselves. Exit code 1: something differs,
    or there is no such workspace or cycle.
    """
    from workers.cli import mac_verify, reports

    start = terminal.moment(cycle, "--cycle")
    outcome = terminal.run_to_end(mac_verify.verify(terminal.settings(), workspace, start, limit))
    reports.show(terminal.console, outcome.report, as_json=as_json)
    if not outcome.right:
        terminal.say_if_all(len(outcome.report.tables["differences"]), limit)
        raise typer.Exit(ExitCode.FAULT)


@app.command()
def close(  # noqa: PLR0913, PLR0917 - an argument is an option
    workspace: InWorkspace,
    cycle: OfCycle,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the cycle.")],
    actor: ActorId,
    role: RoleOf,
    module: FromModule = "api",
    command_id: Annotated[
        UUID | None,
        typer.Option(
            "--command-id", help="The id of the command, random unless given: given twice it is carried out once."
        ),
    ] = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Close a cycle that a standing partition holds open.

    Cycles close by themselves; use this only if `sluice status` names a partition that does not move. What is applied
    after it becomes an adjustment. Only an owner may; the command is `sluice close-cycle`. Waits for the answer. Exit
    code 1: it is refused, or no answer came.
    """
    from workers.cli.giving import giver_of
    from workers.cli.twins import running
    from workers.cli.twins.building import HEAD_WORDS

    words = {"cycle_start": "--cycle", "reason": "--reason", **HEAD_WORDS}
    fields = {"cycle_start": terminal.required_moment(cycle, "--cycle"), "reason": reason}
    giver = giver_of(workspace, actor, role, module, None, timeout)
    running.give_one(running.GivenCommand(giver, "close_cycle", command_id or uuid4(), fields, words, as_json))
