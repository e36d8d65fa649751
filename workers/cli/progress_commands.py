"""`sluice progress`: where input partitions stand, and moving them."""

from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli import terminal
from workers.cli.terminal import AsJson, Wide
from workers.errors import SettingsError

if TYPE_CHECKING:
    from workers.cli.positions import MoveTarget, Planned

app = typer.Typer(
    invoke_without_command=True,
    help="Where each input partition stands; rewind, skip, rebind.",
)

OfTopic = Annotated[str, typer.Option("--topic", help="Only this input topic, without prefix.")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition; default: all.")]
ToOffset = Annotated[int | None, typer.Option("--to-offset", min=0, help="The next offset to apply.")]
To = Annotated[
    str | None,
    typer.Option("--to", help="beginning, end, or a time (RFC 3339): the first record since then by Kafka's clock."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def progress(context: typer.Context, wide: Wide = False, as_json: AsJson = False) -> None:
    """Where each input partition stands, and what Kafka holds of it.

    It shows what is applied. Resetting the consumer group's offsets with Kafka's tools has no effect; use rewind and
    skip.
    """
    if context.invoked_subcommand is None:
        show(wide=wide, as_json=as_json)


@app.command()
def show(wide: Wide = False, as_json: AsJson = False) -> None:
    """Show what is applied of each partition, and by which worker.

    next_offset is applied next; Kafka holds offsets from held_from to before held_until. A position is lost if Kafka
    does not hold the next record any more: decide with rewind or skip.
    """
    from workers.cli import positions

    terminal.show(positions.shown(terminal.settings()), as_json=as_json, wide=wide)


@app.command()
def rewind(
    topic: OfTopic,
    partition: OfPartition = None,
    to_offset: ToOffset = None,
    to: To = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Continue at an earlier offset: apply records again.

    Kafka must still hold them. A record that was applied changes nothing a second time, because of its id. Stop the
    topic's workers first: a running one is fenced at its next record and ends with exit code 4.
    """
    from workers.cli import positions

    planning = positions.rewound(terminal.settings(), topic, partition, _target(partition, to_offset, to))
    _move(terminal.run_to_end(planning), "Rewind?", yes=yes, as_json=as_json)


@app.command()
def skip(
    topic: OfTopic,
    partition: OfPartition = None,
    to_offset: ToOffset = None,
    to: To = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Continue at a later offset: leave records out.

    Skipped records are never applied. Stop the topic's workers first: a running one is fenced at its next record and
    ends with exit code 4.
    """
    from workers.cli import positions

    planning = positions.skipped(terminal.settings(), topic, partition, _target(partition, to_offset, to))
    _move(terminal.run_to_end(planning), "Skip?", yes=yes, as_json=as_json)


@app.command()
def rebind(yes: Yes = False, as_json: AsJson = False) -> None:
    """Let the workers of another group prefix continue.

    The first applied record binds the database to the SLUICE_GROUP_PREFIX of its worker. This command binds it to the
    present value: partitions stay where they are, and nothing is applied again. Stop all workers first: one of the old
    prefix is fenced at its next record, ends with exit code 4, and is refused from then on.
    """
    from workers.cli import group_prefix, reports

    plan = terminal.run_to_end(group_prefix.planned(terminal.settings()))
    terminal.say(group_prefix.rebinding_described(plan))
    if plan.needed:
        if not yes:
            typer.confirm("Rebind?", abort=True, err=True)
        terminal.run_to_end(group_prefix.rebound(terminal.settings()))
    if as_json:
        reports.as_document({"from": plan.bound_to, "to": plan.to, "changed": plan.needed})
    elif plan.needed:
        print("done; workers that start now continue under the new prefix")


def _target(partition: int | None, to_offset: int | None, to: str | None) -> "MoveTarget":
    from workers.cli.positions import END, TOPIC_BEGINNING

    if (to_offset is None) == (to is None):
        raise SettingsError("say where to: either --to-offset or --to")
    if to_offset is not None:
        if partition is None:
            raise SettingsError("--to-offset needs --partition: an offset belongs to one partition")
        return to_offset
    if to in (TOPIC_BEGINNING, END):
        return to or END
    moment = terminal.moment(to, "--to")
    if moment is None:
        raise SettingsError("say where to: either --to-offset or --to")
    return moment


def _move(plans: "list[Planned]", question: str, *, yes: bool, as_json: bool) -> None:
    from workers.cli import positions, reports

    for plan in plans:
        terminal.say(positions.move_described(plan))
    if not yes:
        typer.confirm(question, abort=True, err=True)
    terminal.run_to_end(positions.moved(terminal.settings(), plans))
    if as_json:
        rows = [{"topic": p.source.topic, "partition": p.source.partition, "from": p.known, "to": p.to} for p in plans]
        reports.as_document(rows)
    else:
        print("done; workers that start now continue there")
