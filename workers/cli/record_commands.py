"""`sluice records`: checks records before they are produced, and prints the schemas of topics."""

from typing import Annotated, Any, Final

import typer

from workers.cli import terminal
from workers.cli.terminal import AsJson, Limit
from workers.errors import ExitCode, SettingsError

app = typer.Typer(no_args_is_help=True, help="Check records that you produce, and see the schemas of topics.")

_WORDS: Final = {"refused": "refused, invalid", "dead_letter": "dead letter"}


@app.command()
def check(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="An input topic, without prefix.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="One record a line, as JSON; - is standard input.")],
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Read each record as the workers would, and say which they could not and why.

    A dead letter is a record that nobody can read. A command or send of which the ids can be read is refused, invalid,
    and its producer gets that answer. Neither Kafka nor PostgreSQL is asked. Exit code 1: not all are readable; 2:
    wrong use.
    """
    from workers.cli import record_lines, reports

    terminal.input_topic(topic, "TOPIC")
    with record_lines.opened(file) as lines:
        checked = record_lines.checked(topic, lines, limit)
    if as_json:
        reports.as_document(checked)
    else:
        _tell(checked)
    wrong = checked["records"] - checked["readable"]
    if wrong > limit:
        terminal.say(f"--limit {limit} is reached; not shown: {wrong - limit:,}.")
    if wrong:
        raise typer.Exit(ExitCode.FAULT)


@app.command()
def schema(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic, without prefix.")],
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON in any case
) -> None:
    """Print the JSON Schema of a topic's values.

    Sluice reads every record that fits the schema of an input topic, and a few more.
    """
    import sys

    from schemas.json_schemas import document
    from schemas.topics import EVERY_TOPIC, TOPICS

    if topic not in TOPICS:
        reason = "has no schema: its values are what providers sent" if topic in EVERY_TOPIC else "is no topic"
        raise SettingsError(f"TOPIC: {topic} {reason}; expected any of {', '.join(TOPICS)}")
    sys.stdout.write(document(TOPICS[topic]))


def _tell(checked: dict[str, Any]) -> None:
    from workers.cli import tables

    console = terminal.console()
    if problems := [one | {"outcome": _WORDS[one["outcome"]]} for one in checked["problems"]]:
        tables.show(console, "not readable", problems)
        console.print()
    count = checked["records"]
    told = [f"{count:,} record{'' if count == 1 else 's'} of {checked['topic']}: {checked['readable']:,} readable"]
    counted = {"refused": checked["refused"], "dead_letter": checked["dead_letters"]}
    told += [f"{count:,} {_WORDS[name]}" for name, count in counted.items() if count]
    console.print(", ".join(told), soft_wrap=True)
