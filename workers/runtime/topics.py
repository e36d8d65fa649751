"""Makes the topics as the registry says, and checks those that exist."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import TOPICS, TopicSpec
from workers.errors import SetupError, Unreachable
from workers.runtime.connection import Kafka


@dataclass(frozen=True, slots=True)
class Checked:
    """Names without prefix. `wrong`: topic -> setting -> (expected, found)."""

    created: list[str] = field(default_factory=list)
    wrong: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)


async def ensure(cluster: Kafka, partitions: int, replication: int) -> Checked:
    """Create what is missing and compare the configuration of what is there.

    Raises:
        Unreachable: Kafka does not answer.
        SetupError: Kafka refuses to make a topic.
    """
    admin = AIOKafkaAdminClient(**cluster.clients("topics"))
    try:
        await admin.start()
        existing = {cluster.name(name) for name in await admin.list_topics() if name.startswith(cluster.topic_prefix)}
        missing = [spec for name, spec in TOPICS.items() if name not in existing]
        await _create(admin, cluster, missing, partitions, replication)
        wrong = await _differences(admin, cluster, [spec for name, spec in TOPICS.items() if name in existing])
    except (kafka.KafkaConnectionError, kafka.NodeNotReadyError, kafka.KafkaTimeoutError, OSError) as error:
        raise Unreachable(f"Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP ({cluster.bootstrap})") from error
    except kafka.KafkaError as error:
        raise SetupError(f"Kafka refuses us: {error!r}") from error
    finally:
        await admin.close()
    return Checked([spec.name for spec in missing], wrong)


async def _create(admin: Any, cluster: Kafka, missing: list[TopicSpec], partitions: int, replication: int) -> None:
    new = [NewTopic(cluster.topic(s.name), partitions, replication, topic_configs=s.config()) for s in missing]
    if not new:
        return
    try:
        response = await admin.create_topics(new)
    except kafka.KafkaError as error:
        raise SetupError(f"Kafka refuses to make topics: {error}") from error
    for topic, code, *rest in response.topic_errors:
        refusal = kafka.for_code(code)
        if refusal not in (kafka.NoError, kafka.TopicAlreadyExistsError):
            raise SetupError(f"Kafka refuses to make {topic}: {rest[0] if rest and rest[0] else refusal.__name__}")


async def _differences(admin: Any, cluster: Kafka, existing: list[TopicSpec]) -> dict[str, dict[str, tuple[str, str]]]:
    if not existing:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, cluster.topic(spec.name)) for spec in existing]
    found: dict[str, Mapping[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for _code, _message, _type, name, entries in response.resources:
            found[cluster.name(name)] = {entry[0]: entry[1] for entry in entries}
    wrong: dict[str, dict[str, tuple[str, str]]] = {}
    for spec in existing:
        have = found.get(spec.name, {})
        different = {k: (v, have.get(k, "")) for k, v in spec.config().items() if have.get(k) != v}
        if different:
            wrong[spec.name] = different
    return wrong
