"""`sluice events`: tells what happens, as it happens, by the events that pages and the HTTP API have."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from console.events.happenings import TOPICS, Happening, happenings
from workers.app.settings import Settings
from workers.cli import tables, terminal
from workers.errors import SetupError
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained
from workers.kafka.operator_queries import administering
from workers.process.signals import StopSignal, remembered
from workers.process.tailing import Positions, Tail, Tailed
from workers.process.tasks import unless_stopped
from workers.terminal_text import visible_json

_NAME: Final = "events"


class Wanted(NamedTuple):
    """Which events: of a workspace (None: all, and those of operators), of these kinds; and how they are told."""

    workspace_id: str | None
    kinds: frozenset[str]
    as_json: bool


def follow(settings: Settings, wanted: Wanted) -> None:
    """Prints a line for each event until a signal asks to stop.

    Raises:
        SetupError: a topic does not exist, or Kafka refuses.
        Unreachable: Kafka does not answer at the start.
    """
    with remembered() as asked:
        terminal.run_to_end(_follow(settings.kafka(), wanted, asked))


async def _follow(cluster: Kafka, wanted: Wanted, asked: StopSignal) -> None:
    stop = asked.event()
    with answers_explained(cluster):
        async with administering(cluster, _NAME) as admin:
            known = await admin.list_topics()
    if missing := [topic for topic in map(cluster.topic, TOPICS) if topic not in known]:
        raise SetupError(f"there is no topic {missing[0]}: run `sluice topics`")
    began = False

    def begin(_positions: Positions) -> None:
        nonlocal began
        terminal.say("Some events may be missing: topics were made again." if began else "Listening until Ctrl-C.")
        began = True

    def take(records: Sequence[Tailed], _positions: Positions) -> None:
        for line in lines(records, wanted):
            print(line, flush=True)

    await unless_stopped(Tail(cluster, _NAME, TOPICS, back=0).run(begin, take), stop)


def lines(records: Sequence[Tailed], wanted: Wanted) -> Iterator[str]:
    """A line for each event that is wanted."""
    for record in records:
        for event in happenings(record.place.topic, record.value, record.headers):
            if event.kind in wanted.kinds and wanted.workspace_id in (None, event.workspace_id):
                yield _as_json(event) if wanted.as_json else _told(event)


def _as_json(event: Happening) -> str:
    return visible_json(msgspec.json.encode({"event": event.kind, "data": msgspec.Raw(event.data)}).decode())


def _told(event: Happening) -> str:
    data: dict[str, Any] = msgspec.json.decode(event.data)
    return f"{event.kind:8}  {tables.text_of({name: value for name, value in data.items() if value is not None})}"
