"""What is right and wrong with Kafka's topics, groups and rights, from what the cluster said of itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.topics import EVERY_TOPIC, TopicSpec
from workers.rules.findings import Finding, checked

READ: Final = "Read"
WRITE: Final = "Write"

_CHANGE: Final = (
    "Run: kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name {topic} --add-config {to}"
)
_LOSES: Final = "an acknowledged record may be lost together with one broker"


class PartitionFacts(NamedTuple):
    """Numbers of replicas and of those in sync; `led`: a broker serves it now."""

    replicas: int
    in_sync: int
    led: bool


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """`name` is that on the cluster. `settings` is empty, and `rights` None, if the cluster does not tell."""

    name: str
    partitions: Sequence[PartitionFacts]
    settings: Mapping[str, str] = field(default_factory=dict)
    rights: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class KafkaFacts:
    """`topics` by their names without prefix, missing ones left out. `groups`: what we may not do with a group, or None
    if there is nothing. `known`: the highest partition of each topic of which the database has progress. `session_ms`:
    the bounds of session time-outs, None if the cluster does not tell.
    """

    brokers: int
    topics: Mapping[str, TopicFacts]
    groups: Mapping[str, str | None] = field(default_factory=dict)
    known: Mapping[str, int] = field(default_factory=dict)
    session_ms: tuple[int, int] | None = None


class KafkaNeeds(NamedTuple):
    """What a process does with topics, by their names without prefix. The numbers are None if any will do."""

    reads: Collection[str] = ()
    writes: Collection[str] = ()
    session_timeout_ms: int = 30_000
    partitions: int | None = None
    replication: int | None = None

    @property
    def topics(self) -> list[str]:
        return [name for name in EVERY_TOPIC if name in {*self.reads, *self.writes}]


def kafka_findings(facts: KafkaFacts, needs: KafkaNeeds) -> list[Finding]:
    """Findings for a process with these needs."""
    there = {name: facts.topics[name] for name in needs.topics if name in facts.topics}
    return [
        *checked("topics", f"all {len(needs.topics)} exist", _missing(facts, needs)),
        *checked("partitions", _partition_numbers(there), _partitions(facts, there, needs)),
        *checked("leaders", "every partition has one", _leaders(there)),
        *checked("replication", "no partition is lost with one broker", _replication(facts, there, needs)),
        *checked("min.insync.replicas", "fits the replicas of every topic", _in_sync(there)),
        *checked("topic settings", "as `sluice topics` makes them", _settings(there)),
        *checked("Kafka rights", "those of this process", _rights(facts, there, needs)),
        *_sessions(facts, needs),
    ]


def _missing(facts: KafkaFacts, needs: KafkaNeeds) -> Iterator[Finding]:
    missing = [name for name in needs.topics if name not in facts.topics]
    if missing:
        yield Finding(
            "topics", "problem", f"missing, or not visible to this login: {', '.join(missing)}",
            f"all {len(needs.topics)} topics", "Run `sluice topics`, and grant `Describe` on them.",
        )  # fmt: skip


def _partition_numbers(topics: Mapping[str, TopicFacts]) -> str:
    numbers = sorted({len(topic.partitions) for topic in topics.values()})
    return " or ".join(map(str, numbers)) + " for each topic"


def _partitions(facts: KafkaFacts, topics: Mapping[str, TopicFacts], needs: KafkaNeeds) -> Iterator[Finding]:
    for name, topic in topics.items():
        number = len(topic.partitions)
        if facts.known.get(name, -1) >= number:
            yield Finding(
                "partitions", "problem", f"{topic.name} has {number}", f"at least {facts.known[name] + 1}",
                "The database has applied records of partitions that the topic does not have: it was created again, or "
                "this is another cluster. Restore the topic, or decide with `sluice progress`.",
            )  # fmt: skip
        elif needs.partitions not in (None, number):
            yield Finding(
                "partitions", "problem", f"{topic.name} has {number}", str(needs.partitions),
                "Partitions can only be added, while no worker runs and no record waits: keys change their partitions.",
            )  # fmt: skip


def _leaders(topics: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    for topic in topics.values():
        without = [str(number) for number, one in enumerate(topic.partitions) if not one.led]
        if without:
            yield Finding(
                "leaders", "problem", f"{topic.name} has none for the partitions {', '.join(without)}",
                "a leader for every partition", "Start the brokers that have their replicas.",
            )  # fmt: skip


def _replication(facts: KafkaFacts, topics: Mapping[str, TopicFacts], needs: KafkaNeeds) -> Iterator[Finding]:
    few = [topic.name for topic in topics.values() if min(one.replicas for one in topic.partitions) < 2]
    if needs.replication is not None:
        for topic in topics.values():
            numbers = {one.replicas for one in topic.partitions} - {needs.replication}
            if numbers:
                yield Finding(
                    "replication", "problem", f"{topic.name} has {min(numbers)}", str(needs.replication),
                    "Run kafka-reassign-partitions.sh with the brokers that shall have its replicas.",
                )  # fmt: skip
    elif few:
        yield Finding(
            "replication", "warning", f"1 replica: {', '.join(few)}", "3 replicas",
            f"{_LOSES.capitalize()}: use three brokers (this cluster has {facts.brokers}) and "
            "kafka-reassign-partitions.sh.",
        )  # fmt: skip
    behind = [topic.name for topic in topics.values() if any(one.in_sync < one.replicas for one in topic.partitions)]
    if behind:
        yield Finding(
            "replication", "warning", f"replicas are not in sync: {', '.join(behind)}", "all replicas in sync",
            "See which broker is away or slow.",
        )  # fmt: skip


def _in_sync(topics: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    check = "min.insync.replicas"
    for topic in topics.values():
        if check not in topic.settings:
            continue
        least, replicas = int(topic.settings[check]), min(one.replicas for one in topic.partitions)
        in_sync = min(one.in_sync for one in topic.partitions)
        found = f"{topic.name}: {least} of {replicas} replicas"
        if in_sync < least:
            yield Finding(
                check, "problem", f"{found}, and {in_sync} are in sync", f"at most {in_sync}",
                "Nothing can be written to it. Start the brokers of its replicas, or lower the number: "
                + _CHANGE.format(topic=topic.name, to=f"{check}={max(1, replicas - 1)}"),
            )  # fmt: skip
        elif replicas > 1 and least == 1:
            yield Finding(
                check, "warning", found, str(replicas - 1 if replicas > 2 else 2),
                f"{_LOSES.capitalize()}. " + _CHANGE.format(topic=topic.name, to=f"{check}=2"),
            )  # fmt: skip
        elif 1 < replicas == least:
            yield Finding(
                check, "warning", found, str(replicas - 1),
                "Nothing can be written to it while one broker is away. "
                + _CHANGE.format(topic=topic.name, to=f"{check}={replicas - 1}"),
            )  # fmt: skip


def _settings(topics: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    check = "topic settings"
    silent = [topic.name for topic in topics.values() if not topic.settings]
    if silent:
        yield Finding(
            check, "warning", f"the cluster does not return those of {', '.join(silent)}", "their settings",
            "Grant `DescribeConfigs` on them. The broker of `sluice dev` does not have this.",
        )  # fmt: skip
    for name, topic in topics.items():
        if not topic.settings:
            continue
        for setting, (expected, why) in _expected(EVERY_TOPIC[name]).items():
            found = topic.settings.get(setting, "")
            if found != expected:
                yield Finding(
                    check, "problem", f"{topic.name}: {setting} is {found or 'not set'}", expected,
                    f"{why} {_CHANGE.format(topic=topic.name, to=f'{setting}={expected}')}",
                )  # fmt: skip
        yield from _losing(topic)


def _expected(spec: TopicSpec) -> dict[str, tuple[str, str]]:
    """The settings that a topic must have, each with what follows from another value."""
    why = {
        "retention.ms": "Records would go before workers have read them, or personal data would stay.",
        "max.compaction.lag.ms": "What the topic had of a deleted contact would stay.",
        "cleanup.policy": "Records would go that somebody needs, or stay for ever.",
        "max.message.bytes": "Records that are allowed would be refused.",
        "message.timestamp.type": "Rules would go by the clocks of producers.",
    }
    return {setting: (value, why.get(setting, "")) for setting, value in spec.config().items()}


def _losing(topic: TopicFacts) -> Iterator[Finding]:
    check = "topic settings"
    if topic.settings.get("unclean.leader.election.enable") == "true":
        yield Finding(
            check, "warning", f"{topic.name}: unclean.leader.election.enable is true", "false",
            "Acknowledged records may be lost when a broker ends. "
            + _CHANGE.format(topic=topic.name, to="unclean.leader.election.enable=false"),
        )  # fmt: skip
    if topic.settings.get("retention.bytes", "-1") != "-1":
        yield Finding(
            check, "warning", f"{topic.name}: retention.bytes is {topic.settings['retention.bytes']}", "-1",
            "A peak of traffic would delete records that no worker has read. "
            + _CHANGE.format(topic=topic.name, to="retention.bytes=-1"),
        )  # fmt: skip


def _rights(facts: KafkaFacts, topics: Mapping[str, TopicFacts], needs: KafkaNeeds) -> Iterator[Finding]:
    check = "Kafka rights"
    for right, names in ((READ, needs.reads), (WRITE, needs.writes)):
        lacking = [t.name for n, t in topics.items() if n in names and t.rights is not None and right not in t.rights]
        if lacking:
            yield Finding(
                check, "problem", f"no right to {right.lower()}: {', '.join(lacking)}", f"`{right}` on them",
                f"Run: kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation {right} "
                + " ".join(f"--topic {name}" for name in lacking),
            )  # fmt: skip
    for group, refused in facts.groups.items():
        if refused is not None:
            yield Finding(
                check, "problem", f"group {group}: {refused}", "`Read` on the group",
                "Run: kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation Read "
                f"--group {group}",
            )  # fmt: skip


def _sessions(facts: KafkaFacts, needs: KafkaNeeds) -> Iterator[Finding]:
    if facts.session_ms is None or not facts.groups:
        return
    check, (least, most), ours = "time-out of the group", facts.session_ms, needs.session_timeout_ms
    if least <= ours <= most:
        yield Finding(check, "ok", f"{ours} ms")
    else:
        yield Finding(
            check, "problem", f"SLUICE_SESSION_TIMEOUT_MS is {ours}", f"{least} to {most}, the limits of the brokers",
            "Change it, or group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers.",
        )  # fmt: skip
