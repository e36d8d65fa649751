"""`sluice progress`: where input partitions stand, and moving them."""

from typing import TYPE_CHECKING, Annotated

import typer

from workers import terminal
from workers.errors import SettingsError
from workers.terminal import AsJson

if TYPE_CHECKING:
    from workers.positions import Planned, Target

app = typer.Typer(
    invoke_without_command=True,
    help="Where each input partition stands, and what Kafka holds of it; rewind and skip move it.",
)

OfTopic = Annotated[str, typer.Option("--topic", help="Of this input topic, without prefix.")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition; default: all.")]
ToOffset = Annotated[int | None, typer.Option("--to-offset", min=0, help="The next offset to apply.")]
To = Annotated[
    str | None, typer.Option("--to", help="beginning, end, or a moment (RFC 3339): the first record Kafka got since.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def progress(context: typer.Context, as_json: AsJson = False) -> None:
    """Where each input partition stands, and what Kafka holds of it.

    What is shown here is what is applied. Resetting the consumer group's offsets with Kafka's tools has no effect;
    rewind and skip have.
    """
    if context.invoked_subcommand is None:
        show(as_json=as_json)


@app.command()
def show(as_json: AsJson = False) -> None:
    """What is applied of each partition, and by whom.

    next_offset is applied next; Kafka holds offsets from held_from to before held_until. A position is lost if Kafka
    does not hold the next record any more: decide with rewind or skip.
    """
    from workers import positions

    terminal.show(positions.shown(terminal.settings()), as_json=as_json)


@app.command()
def rewind(
    topic: OfTopic,
    partition: OfPartition = None,
    to_offset: ToOffset = None,
    to: To = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go on earlier: apply records again.

    As far as Kafka still holds them. A record that was applied changes nothing a second time, by its id. Stop the
    topic's workers first: one at work is fenced at its next record and ends with exit code 4.
    """
    from workers import positions

    planning = positions.rewound(terminal.settings(), topic, partition, _target(partition, to_offset, to))
    _move(terminal.run(planning), "Rewind?", yes=yes, as_json=as_json)


@app.command()
def skip(
    topic: OfTopic,
    partition: OfPartition = None,
    to_offset: ToOffset = None,
    to: To = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go on later: leave records out.

    What is skipped is never applied. Stop the topic's workers first: one at work is fenced at its next record and ends
    with exit code 4.
    """
    from workers import positions

    planning = positions.skipped(terminal.settings(), topic, partition, _target(partition, to_offset, to))
    _move(terminal.run(planning), "Skip?", yes=yes, as_json=as_json)


def _target(partition: int | None, to_offset: int | None, to: str | None) -> "Target":
    from workers.positions import BEGINNING, END

    if (to_offset is None) == (to is None):
        raise SettingsError("say where to: either --to-offset or --to")
    if to_offset is not None:
        if partition is None:
            raise SettingsError("--to-offset needs --partition: an offset means something in one partition only")
        return to_offset
    if to in (BEGINNING, END):
        return to or END
    moment = terminal.moment(to, "--to")
    if moment is None:
        raise SettingsError("say where to: either --to-offset or --to")
    return moment


def _move(plans: "list[Planned]", question: str, *, yes: bool, as_json: bool) -> None:
    from workers import positions, reporting

    for plan in plans:
        typer.echo(positions.told(plan), err=True)
    if not yes:
        typer.confirm(question, abort=True, err=True)
    terminal.run(positions.moved(terminal.settings(), plans))
    if as_json:
        rows = [{"topic": p.source.topic, "partition": p.source.partition, "from": p.known, "to": p.to} for p in plans]
        reporting.as_document(rows)
    else:
        print("done; workers that start now begin there")
