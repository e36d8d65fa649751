"""The order of a whole run: round by round, every side once in each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks import traffic
from benchmarks.latency import Commands, Halts, Steady, commands, halts, steady
from benchmarks.load import CONTACTS, Crowd, fill, partition_of_the_flood
from benchmarks.measuring import Side, measure
from benchmarks.processes import SideFailed
from benchmarks.result import Result
from benchmarks.rolling import Rolling, rolling
from benchmarks.stage import Past, Stage
from tests.acceptance.making import Wire

Measurement = Side | Steady | Halts | Commands | Rolling
Tell = Callable[[str, int, int], None]
"""Receives the present measurement, the number of its records that are done, and their total."""

ROUNDS: Final = 5
PEOPLE: Final = Past(CONTACTS, CONTACTS)
BLOCKED: Final = Past(CONTACTS, CONTACTS, blocked=10)
PROTECTED: Final = Past(CONTACTS, CONTACTS, protected=25)
CONFIRMED: Final = Past(CONTACTS, CONTACTS, confirmed=100_000)
DELETED: Final = Past(CONTACTS + 100_000, 10 * (CONTACTS + 100_000), deleted=100_000)
REMAINING: Final = DELETED._replace(deleted=0)
GROUPS: Final = Past(CONTACTS, CONTACTS, groups=6)
MILLION: Final = Past(100_000, 1_000_000)
TEN_MILLION: Final = Past(1_000_000, 10_000_000)
_HEAD_START: Final = 160_000
_IN: Final = ("inbound",)

FLOOR: Final = Side("floor", "decode, COPY, produce, commit: no rules", "floor", (), 100_000)
INBOUND: Final = Side("inbound", "Sluice: empty tables, one workspace, one process", "sluice", _IN, 100_000)

SLUICE: Final[Sequence[Side]] = (
    INBOUND,
    Side("frame", "the floor's job in Sluice's engine: no rules", "frame", (), 100_000),
    Side("inbound-2", "two processes, one group", "sluice", _IN, 100_000, processes=2),
    Side("inbound-1m", "a million messages stored", "sluice", _IN, 100_000, past=MILLION, kept=True),
    Side("inbound-10m", "ten million, of a million contacts", "sluice", _IN, 100_000, past=TEN_MILLION, kept=True),
    Side("inbound-hundred", "a hundred small workspaces", "sluice", _IN, 100_000, load="hundred"),
    Side("inbound-known", "everybody known, nobody blocked", "sluice", _IN, 60_000, past=PEOPLE),
    Side("inbound-blocked", "everybody known, 10 % blocked", "sluice", _IN, 60_000, past=BLOCKED),
    Side(
        "inbound-group",
        "as known, while upkeep dispatches a group of 100,000",
        "sluice",
        ("inbound", "upkeep"),
        60_000,
        past=CONFIRMED,
    ),
    Side("inbound-kept", "as known, of 110,000 people with ten messages each", "sluice", _IN, 60_000, past=REMAINING),
    Side(
        "inbound-deletion",
        "as kept, while upkeep deletes the 100,000 others",
        "sluice",
        ("inbound", "upkeep"),
        60_000,
        past=DELETED,
    ),
    Side(
        "inbound-flood",
        "one contact sends half of all records",
        "sluice",
        _IN,
        100_000,
        load="flood",
        apart=partition_of_the_flood(),
    ),
    Side(
        "outbound",
        "requests to send, a quarter held",
        "sluice",
        ("outbound",),
        20_000,
        past=PROTECTED,
        inputs=("messages.outbound",),
    ),
    Side(
        "outbound-answered",
        "requests and as many receipts, many before their send",
        "sluice",
        ("outbound",),
        20_000,
        load="answered",
        past=PEOPLE,
        inputs=("messages.outbound", "messages.receipts"),
    ),
    Side("commands", "blocks, unblocks", "sluice", ("commands",), 10_000, past=PEOPLE, inputs=("contacts.commands",)),
    Side(
        "tags",
        "a tag for each of many contacts",
        "sluice",
        ("commands",),
        20_000,
        load="tags",
        past=PEOPLE,
        inputs=("contacts.commands",),
    ),
    Side(
        "inbox",
        "fields, tags, conversations, comments",
        "sluice",
        ("commands",),
        20_000,
        load="inbox",
        past=PEOPLE,
        inputs=("contacts.commands",),
    ),
    Side(
        "workflows",
        "runs, four events each",
        "sluice",
        ("workflows",),
        20_000,
        past=PEOPLE,
        inputs=("workflows.events",),
    ),
    Side("backlog", "a backlog of a million, for memory", "sluice", _IN, 1_000_000, rounds=1),
)

PEERS: Final[Sequence[Side]] = (
    Side("aiokafka-1", "aiokafka + asyncpg, one lane", "aiokafka_asyncpg", ("1",), 2_000),
    Side("aiokafka-16", "aiokafka + asyncpg, 16 lanes", "aiokafka_asyncpg", ("16",), 8_000),
    Side("faststream-1", "FastStream + asyncpg, one worker", "faststream_asyncpg", ("1",), 2_000),
    Side("faststream-16", "FastStream + asyncpg, 16 workers", "faststream_asyncpg", ("16",), 6_000),
    Side("confluent", "confluent-kafka + psycopg, batches by hand", "confluent_batches", (), 50_000),
    Side("quix", "Quix Streams + psycopg", "quix", (), 4_000),
)

LATENCIES: Final[Sequence[Measurement]] = (
    Steady("floor-1000", "the floor at 1,000 a second", "floor", (), 1_000, 14, regulars=True),
    Steady("frame-1000", "the floor's job in Sluice's engine", "frame", (), 1_000, 14, regulars=True),
    Steady("inbound-1000", "Sluice at 1,000 a second, regulars", "sluice", _IN, 1_000, 14, PEOPLE, regulars=True),
    Steady("strangers-1000", "the same, most of it from people never heard of", "sluice", _IN, 1_000, 14),
    Steady("floor-10", "the floor at 10 a second", "floor", (), 10, 15),
    Steady("inbound-10", "Sluice at 10 a second", "sluice", _IN, 10, 15),
    Halts("halt", "from a block command to the run's halt, 20 a second", 20, 10),
    Commands(
        "merge-few",
        "merges and undos of contacts with a hundred messages each",
        10,
        10,
        Past(2, 200),
        traffic.merge_or_undo,
        warming=10,
    ),
    Commands(
        "merge-1m",
        "the same with a million messages each",
        10,
        10,
        Past(2, 2_000_000),
        traffic.merge_or_undo,
        warming=10,
    ),
    Commands("confirm-10000", "a group of 10,000 holds confirmed", 0.25, 24, GROUPS, traffic.confirm_group, warming=1),
    Commands("reject-10000", "a group of 10,000 holds rejected", 0.25, 24, GROUPS, traffic.reject_group, warming=1),
    Commands("halt-10000", "a contact with 10,000 runs blocked", 0.25, 24, GROUPS, traffic.block_runner, warming=1),
)

REPLACED: Final[Sequence[Measurement]] = (
    Rolling("restart", "5,000 a second while each of three workers restarts", "restart", 5_000, 120, rounds=2),
    Rolling("scale", "5,000 a second while one worker becomes three, and one again", "scale", 5_000, 120, rounds=2),
)

MEASUREMENTS: Final[Sequence[Measurement]] = (FLOOR, *SLUICE, *PEERS, *LATENCIES, *REPLACED)
QUICK: Final[Sequence[Side]] = (FLOOR._replace(records=90_000), INBOUND._replace(records=40_000))

_CROWDS: Final[Mapping[str, Crowd]] = {
    "base": Crowd(),
    "hundred": Crowd(workspaces=100),
    "flood": Crowd(flood=0.5),
}
_COMMANDS: Final[Mapping[str, Callable[[int], Iterator[Wire]]]] = {"tags": traffic.tags, "inbox": traffic.inbox}
_TRAFFIC: Final[Mapping[str, Callable[[int], Iterator[Wire]]]] = {
    "messages.outbound": traffic.sends,
    "messages.receipts": traffic.receipts,
    "contacts.commands": traffic.commands,
    "workflows.events": traffic.runs,
}


def scaled(measurement: Measurement, share: float) -> Measurement:
    """The same with a share of the records or of the time."""
    if isinstance(measurement, Side):
        return measurement._replace(records=max(500, round(measurement.records * share)))
    return measurement._replace(seconds=max(4.0, measurement.seconds * share))


def run(stage: Stage, chosen: Sequence[Measurement], rounds: int, tell: Tell) -> Iterator[Result | SideFailed]:
    """Measures everything chosen, round by round, in alternating order: drift favours no side.

    A side that fails is reported, and the others continue.
    """
    prepare(stage, [m for m in chosen if isinstance(m, Side)], rounds, tell)
    for number in range(rounds):
        for measurement in chosen if number % 2 == 0 else reversed(chosen):
            if measurement.rounds is None or number < measurement.rounds:
                try:
                    yield _one(stage, measurement, number, tell)
                except SideFailed as failed:
                    yield failed


def prepare(stage: Stage, sides: Sequence[Side], rounds: int, tell: Tell) -> None:
    """Produces the inputs of the sides, and creates the template databases."""
    wanted: dict[tuple[str, str], int] = {}
    for side in sides:
        # One that goes on from round to round reads a little further than it is measured, and the first of several
        # processes begins before the others.
        count = side.records * (rounds + 1 if side.kept else 1) + _HEAD_START * (side.processes - 1)
        topics = side.inputs or ("messages.inbound",)
        for topic in topics:
            wanted[side.load, topic] = max(count // len(topics), wanted.get((side.load, topic), 0))
    for (load, topic), count in wanted.items():
        tell(f"producing {count:,} records to {load}.{topic}", 0, count)
        stage.topics(f"{load}.")
        made = _TRAFFIC[topic] if topic in _TRAFFIC else _CROWDS[load].messages
        records = _COMMANDS.get(load, made) if topic == "contacts.commands" else made
        fill(stage.bootstrap, f"{load}.", records(count))
    for past in {side.past for side in sides}:
        tell(f"storing {past.messages:,} messages of {past.contacts:,} contacts", 0, 1)
        stage.prepare(past)


def _one(stage: Stage, measurement: Measurement, number: int, tell: Tell) -> Result:
    name = f"round {number + 1}: {measurement.name}"
    if isinstance(measurement, Side):
        side = measurement
        return measure(stage, side, number, lambda done: tell(name, done, side.records))
    count = round(measurement.rate * measurement.seconds)
    if isinstance(measurement, Steady):
        return steady(stage, measurement, number, lambda done: tell(name, done, count))
    if isinstance(measurement, Rolling):
        return rolling(stage, measurement, number, lambda done: tell(name, done, count))
    if isinstance(measurement, Commands):
        return commands(stage, measurement, number, lambda done: tell(name, done, count))
    return halts(stage, measurement, number, lambda done: tell(name, done, count))
