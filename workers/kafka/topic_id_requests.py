"""The requests of Kafka's protocol that carry topic ids (KIP-516): Metadata 12 and Fetch 13. aiokafka has only older
ones.

Fields are those of Kafka's `MetadataRequest.json`, `FetchRequest.json` and their responses, in the same order.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

NO_TOPIC_ID: Final = bytes(16)
"""Stands for a topic that does not exist, or has no id."""
_UNKNOWN_EPOCH: Final = -1
_METADATA: Final = 3
_FETCH: Final = 1


class Uuid(AbstractType[bytes]):
    """16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class MetadataResponseV12(Response):
    """Brokers, and for each topic its id and partitions."""

    API_KEY = _METADATA
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class MetadataRequestV12(RequestStruct):
    """See `TopicIdsRequest`."""

    FLEXIBLE_VERSION = True
    API_KEY = _METADATA
    API_VERSION = 12
    RESPONSE_TYPE = MetadataResponseV12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("topic", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdsRequest(Request[MetadataRequestV12]):
    """Asks for the ids of topics, by name. aiokafka raises NotImplementedError if the broker does not support it."""

    API_KEY = _METADATA

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequestV12]) -> MetadataRequestV12:
        return request_struct_class(
            topics=[(NO_TOPIC_ID, topic, {}) for topic in self._topics],
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=False,
            tags={},
        )


class FetchResponseV13(Response):
    """The records by topic id and partition."""

    API_KEY = _FETCH
    API_VERSION = 13
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("session_id", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("highwater_offset", Int64),
                        ("last_stable_offset", Int64),
                        ("log_start_offset", Int64),
                        (
                            "aborted_transactions",
                            CompactArray(("producer_id", Int64), ("first_offset", Int64), ("tags", TaggedFields)),
                        ),
                        ("preferred_read_replica", Int32),
                        ("message_set", CompactBytes),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class FetchRequestV13(RequestStruct):
    """See `FetchByIdRequest`."""

    FLEXIBLE_VERSION = True
    API_KEY = _FETCH
    API_VERSION = 13
    RESPONSE_TYPE = FetchResponseV13
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_time", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("fetch_offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start_offset", Int64),
                        ("max_bytes", Int32),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        (
            "forgotten_topics_data",
            CompactArray(("topic_id", Uuid), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)),
        ),
        ("rack_id", CompactString()),
        ("tags", TaggedFields),
    )


class FetchByIdRequest(Request[FetchRequestV13]):
    """A fetch by names of topics, sent by their ids to brokers that support it. `ids` has each of its partitions."""

    API_KEY = _FETCH

    def __init__(self, named: FetchRequest, ids: Mapping[TopicPartition, bytes]) -> None:
        self._named = named
        self._ids = ids

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        lowest, highest = versions[_FETCH]
        supported = lowest <= FetchRequestV13.API_VERSION <= highest
        return super().prepare(versions) if supported else self._named.prepare(versions)

    def build(self, request_struct_class: type[FetchRequestV13]) -> FetchRequestV13:
        named: Any = self._named.build(FetchRequest_v11)
        by_id: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
        for topic, partitions in named.topics:
            for number, leader_epoch, offset, log_start, most_bytes in partitions:
                by_id[self._ids[TopicPartition(topic, number)]].append(
                    (number, leader_epoch, offset, _UNKNOWN_EPOCH, log_start, most_bytes, {})
                )
        return request_struct_class(
            replica_id=named.replica_id,
            max_wait_time=named.max_wait_time,
            min_bytes=named.min_bytes,
            max_bytes=named.max_bytes,
            isolation_level=named.isolation_level,
            session_id=named.session_id,
            session_epoch=named.session_epoch,
            topics=[(topic_id, partitions, {}) for topic_id, partitions in by_id.items()],
            forgotten_topics_data=[],
            rack_id=named.rack_id,
            tags={},
        )
