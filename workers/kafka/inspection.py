"""What `sluice doctor` asks Kafka, as facts for `workers.rules.kafka_checks`. It produces nothing, joins no group."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained
from workers.kafka.operator_queries import administering
from workers.kafka.rights_requests import TopicRightsRequest, rights_of
from workers.kafka.topics import configurations
from workers.process.granted_rights import GroupRightsRequest
from workers.rules.clock_checks import ClockReading
from workers.rules.kafka_checks import READ, KafkaFacts, PartitionFacts, TopicFacts

BROKER: Final = "the brokers"
_ASKED_S: Final = 10.0
_LOG_APPEND: Final = 1
_SESSION: Final = ("group.min.session.timeout.ms", "group.max.session.timeout.ms")


async def facts(cluster: Kafka, topics: Sequence[str], groups: Sequence[str], known: Mapping[str, int]) -> KafkaFacts:
    """About the cluster, those of the topics that exist (names without prefix), and groups.

    Raises:
        Unreachable: Kafka does not answer.
        SetupError: it refuses the login.
    """
    with answers_explained(cluster):
        async with administering(cluster, "doctor") as admin:
            brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
            found = await _topics(admin, [cluster.topic(name) for name in topics])
            return KafkaFacts(
                brokers=len(brokers),
                topics={cluster.name(name): topic for name, topic in found.items()},
                groups={group: await _refused(admin, group) for group in groups},
                known=known,
                session_ms=await _session_limits(admin, brokers[0]) if brokers else None,
            )


async def _topics(admin: Any, names: Sequence[str]) -> dict[str, TopicFacts]:
    existing = set(await admin.list_topics())
    wanted = [name for name in names if name in existing]
    if not wanted:
        return {}
    settings = await _settings(admin, wanted)
    try:
        answer = (await admin._send_request(TopicRightsRequest(wanted))).to_object()["topics"]  # noqa: SLF001
    except NotImplementedError:
        answer = await admin.describe_topics(wanted)
    return {
        topic["topic"]: TopicFacts(
            topic["topic"],
            [_partition(one) for one in sorted(topic["partitions"], key=lambda one: int(one["partition"]))],
            settings[topic["topic"]],
            rights_of(topic["topic_authorized_operations"]) if "topic_authorized_operations" in topic else None,
        )
        for topic in answer
        if topic["partitions"]
    }


def _partition(told: Mapping[str, Any]) -> PartitionFacts:
    return PartitionFacts(len(told["replicas"]), len(told["isr"]), told["leader"] >= 0)


async def _settings(admin: Any, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    try:
        return await configurations(admin, names)
    except kafka.IncompatibleBrokerVersion:
        return {name: {} for name in names}


async def _refused(admin: Any, group: str) -> str | None:
    """What we may not do with a group; None if we may use it, or nobody can say."""
    try:
        coordinator = await admin.find_coordinator(group)
        [(code, _, *_, bits)] = (await admin._send_request(GroupRightsRequest(group), coordinator)).groups  # noqa: SLF001
    except kafka.GroupAuthorizationFailedError:
        return "it is not visible to this login"
    except (kafka.GroupCoordinatorNotAvailableError, kafka.IncompatibleBrokerVersion, NotImplementedError):
        return None  # before the first group there is no topic of offsets
    if kafka.for_code(code) is kafka.GroupAuthorizationFailedError:
        return "it is not visible to this login"
    rights = rights_of(bits)
    return None if rights is None or READ in rights else "no right to read"


async def _session_limits(admin: Any, broker: int) -> tuple[int, int] | None:
    try:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(broker))])
    except kafka.IncompatibleBrokerVersion:
        return None
    [(_, _, _, _, entries)] = answer.resources
    told = {entry[0]: entry[1] for entry in entries}
    limits = [int(told[name]) for name in _SESSION if name in told]
    return (limits[0], limits[1]) if len(limits) == 2 else None


async def clock(
    cluster: Kafka, topics: Collection[TopicFacts], now: Callable[[], float], watch_s: float
) -> ClockReading:
    """How far the brokers' clock is ahead of `now` (Unix time, seconds), by records that carry the brokers' time: the
    last one of each partition, which was there before, and those that arrive within `watch_s`.

    Raises:
        Unreachable: Kafka does not answer.
        SetupError: it refuses the login, or to read.
    """
    partitions = [TopicPartition(topic.name, number) for topic in topics for number in range(len(topic.partitions))]
    if not partitions:
        return ClockReading(BROKER, None, None)
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **cluster.clients("doctor"))
    with answers_explained(cluster):
        try:
            async with asyncio.timeout(_ASKED_S + watch_s):
                await consumer.start()
                return await _clock(consumer, partitions, now, watch_s)
        finally:
            await consumer.stop()


async def _clock(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], now: Callable[[], float], watch_s: float
) -> ClockReading:
    consumer.assign(partitions)
    began = now()
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(begins[partition], ends[partition] - 1))
    least, most = float("-inf"), float("inf")
    loop = asyncio.get_running_loop()
    until = loop.time() + watch_s
    while (left := until - loop.time()) > 0:
        polled = await consumer.getmany(timeout_ms=int(left * 1000) + 1)
        came = now()
        for partition, records in polled.items():
            for record in records:
                if record.timestamp_type != _LOG_APPEND:
                    continue
                at = record.timestamp / 1000
                # It was appended before it came, and, if it was not there at the begin, after that.
                least = max(least, at - came)
                if record.offset >= ends[partition]:
                    most = min(most, at - began)
                    until = min(until, loop.time())
    return ClockReading(BROKER, None if least == float("-inf") else least, None if most == float("inf") else most)
