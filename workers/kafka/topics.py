"""Creates the topics of `schemas/topics.py`, and checks those that exist."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import DEFAULT_PARTITIONS, EVERY_TOPIC, INPUTS, TopicSpec
from workers.errors import SetupError
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained, refusals_explained
from workers.kafka.operator_queries import administering

_TIMESTAMP_TYPE: Final = "message.timestamp.type"
_LISTED_WITHIN_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class TopicReport:
    """Topic names have no prefix here. `wrong` maps topic -> setting -> (expected, found)."""

    created: list[str] = field(default_factory=list)
    wrong: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)


async def ensure(cluster: Kafka, partitions: int | None = None, replication: int | None = None) -> TopicReport:
    """Creates missing topics, and waits until the cluster tells of them. Compares the settings of the others, and their
    numbers of partitions and replicas if these are given.

    Raises:
        Unreachable: Kafka does not answer, or does not tell of its new topics within half a minute.
        SetupError: Kafka refuses to create a topic, or does not return the settings of its topics.
    """
    with answers_explained(cluster):
        async with administering(cluster, "topics") as admin:
            existing = {cluster.name(n) for n in await admin.list_topics() if n.startswith(cluster.topic_prefix)}
            missing = [spec for name, spec in EVERY_TOPIC.items() if name not in existing]
            await _create(admin, cluster, missing, partitions or DEFAULT_PARTITIONS, replication or 1)
            await _until_listed(admin, {cluster.topic(spec.name) for spec in missing})
            known = [spec for name, spec in EVERY_TOPIC.items() if name in existing]
            wrong = await _differences(admin, cluster, known)
            for name, differs in (await _count_differences(admin, cluster, known, partitions, replication)).items():
                wrong[name] = wrong.get(name, {}) | differs
    return TopicReport([spec.name for spec in missing], {name: wrong[name] for name in EVERY_TOPIC if name in wrong})


async def _create(admin: Any, cluster: Kafka, missing: list[TopicSpec], partitions: int, replication: int) -> None:
    new = [NewTopic(cluster.topic(s.name), partitions, replication, topic_configs=s.config()) for s in missing]
    if not new:
        return
    try:
        response = await admin.create_topics(new)
    except kafka.KafkaError as error:
        raise SetupError(f"Kafka refuses to create topics: {error}") from error
    for topic, code, *rest in response.topic_errors:
        refusal = kafka.for_code(code)
        if refusal not in (kafka.NoError, kafka.TopicAlreadyExistsError):
            raise SetupError(f"Kafka refuses to create {topic}: {rest[0] if rest and rest[0] else refusal.__name__}")


async def _until_listed(admin: Any, created: set[str]) -> None:
    """The controller answers before the brokers know: who starts at once would not find the topics."""
    async with asyncio.timeout(_LISTED_WITHIN_S):
        while not created.issubset(await admin.list_topics()):  # noqa: ASYNC110 - nothing tells us but asking
            await asyncio.sleep(_LOOK_AGAIN_S)


async def configurations(admin: Any, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Returns the settings of each topic, none if Kafka does not return them. Raises as aiokafka."""
    found: dict[str, Mapping[str, str]] = {topic: {} for topic in topics}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for response in await admin.describe_configs(resources):
        for _code, _message, _type, name, entries in response.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _differences(admin: Any, cluster: Kafka, existing: list[TopicSpec]) -> dict[str, dict[str, tuple[str, str]]]:
    if not existing:
        return {}
    try:
        found = await configurations(admin, [cluster.topic(spec.name) for spec in existing])
    except kafka.IncompatibleBrokerVersion as error:
        raise SetupError(
            "the broker does not return the settings of its topics. Sluice needs Kafka 3.6 or newer. The broker of "
            "`sluice dev` needs no `sluice topics`: it creates its topics itself"
        ) from error
    wrong: dict[str, dict[str, tuple[str, str]]] = {}
    for spec in existing:
        have = found[cluster.topic(spec.name)]
        different = {k: (v, have.get(k, "")) for k, v in spec.config().items() if have.get(k) != v}
        if different:
            wrong[spec.name] = different
    return wrong


async def _count_differences(
    admin: Any, cluster: Kafka, existing: list[TopicSpec], partitions: int | None, replication: int | None
) -> dict[str, dict[str, tuple[str, str]]]:
    """Returns the topics whose number of partitions or replicas differs from the request. Changes nothing."""
    if not existing or (partitions is None and replication is None):
        return {}
    wrong: dict[str, dict[str, tuple[str, str]]] = {}
    for topic in await admin.describe_topics([cluster.topic(spec.name) for spec in existing]):
        replicas = min(len(one["replicas"]) for one in topic["partitions"])
        found = {"partitions": (partitions, len(topic["partitions"])), "replication": (replication, replicas)}
        different = {k: (str(want), str(has)) for k, (want, has) in found.items() if want not in (None, has)}
        if different:
            wrong[cluster.name(topic["topic"])] = different
    return wrong


async def topics_at_start(cluster: Kafka, names: Sequence[str]) -> tuple[set[str], list[str]]:
    """Returns the names of all topics, and the input topics that keep the time of the producer (`CreateTime`). Leaves
    out an input whose settings the broker does not return.
    """
    with refusals_explained("us"):
        async with administering(cluster, "startup") as admin:
            found = set(await admin.list_topics())
            inputs = {cluster.topic(spec.name) for spec in INPUTS if spec.name in names}
            try:
                settings = await configurations(admin, sorted(inputs & found))
            except kafka.KafkaError:
                settings = {}  # the embedded broker does not support this
            return found, [topic for topic, have in settings.items() if have.get(_TIMESTAMP_TYPE) == "CreateTime"]
