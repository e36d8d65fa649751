"""Asks Kafka which rights a login has, before it needs them: a program that lacks one says which, and ends.

Kafka answers with the operations that it would allow (KIP-430), as bits. aiokafka does not read such answers, so the
requests are here. A cluster without an authorizer allows everything.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from aiokafka import errors as kafka
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from schemas.kafka_rights import Operation, Resource, Right

_METADATA: Final = 3
_GROUP: Final = 0
_NOT_TOLD: Final = -(2**31)
_BITS: Final[Mapping[Operation, int]] = {
    Operation.READ: 1 << 3,
    Operation.WRITE: 1 << 4,
    Operation.DESCRIBE_CONFIGS: 1 << 10,
}
_AGAIN_S: Final = 0.1
_NOT_YET: Final = {
    kafka.GroupCoordinatorNotAvailableError.errno,
    kafka.GroupLoadInProgressError.errno,
    kafka.NotCoordinatorForGroupError.errno,
}
"""The first question about a group on a new cluster makes the topic of offsets."""
_REFUSED: Final = {kafka.TopicAuthorizationFailedError.errno, kafka.GroupAuthorizationFailedError.errno}


class Client(Protocol):
    """What is used of aiokafka's client."""

    def get_random_node(self) -> int: ...
    async def send(self, node_id: int, request: Any) -> Any: ...


class MetadataResponseV8(Response):
    """Brokers; and for each topic its partitions, and what the asking login may do."""

    API_KEY = _METADATA
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class MetadataRequestV8(RequestStruct):
    """See `TopicRightsRequest`."""

    API_KEY = _METADATA
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponseV8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class TopicRightsRequest(Request[MetadataRequestV8]):
    """Asks what the login may do with topics. Creates none."""

    API_KEY = _METADATA

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = sorted(topics)

    def build(self, request_struct_class: type[MetadataRequestV8]) -> MetadataRequestV8:
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - fields of the protocol


class GroupRightsV3(RequestStruct):
    """See `GroupRightsRequest`. aiokafka's own reads the answer as one of version 2, which has no rights."""

    API_KEY = DescribeGroupsRequest_v3.API_KEY
    API_VERSION = DescribeGroupsRequest_v3.API_VERSION
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class GroupRightsRequest(Request[GroupRightsV3]):
    """Asks what the login may do with a group."""

    API_KEY = GroupRightsV3.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[GroupRightsV3]) -> GroupRightsV3:
        return request_struct_class([self._group], True)  # noqa: FBT003 - fields of the protocol


async def missing_rights(client: Client, wanted: Sequence[Right]) -> list[Right]:
    """Those of the rights that the login of this client lacks; none if the broker is too old to tell. A topic that does
    not exist lacks none. Waits for the coordinator of a group. Raises as aiokafka.
    """
    topics = {right.name for right in wanted if right.resource is Resource.TOPIC}
    groups = {right.name for right in wanted if right.resource is Resource.GROUP}
    allowed: dict[tuple[Resource, str], int] = {}
    try:
        if topics:
            answer = await client.send(client.get_random_node(), TopicRightsRequest(topics))
            for code, topic, _internal, _partitions, bits in answer.topics:
                allowed[Resource.TOPIC, topic] = 0 if code in _REFUSED else bits if code == 0 else _NOT_TOLD
        for group in sorted(groups):
            allowed[Resource.GROUP, group] = await _of_group(client, group)
    except (NotImplementedError, kafka.IncompatibleBrokerVersion):
        return []
    return list(_lacking(wanted, allowed))


def _lacking(wanted: Sequence[Right], allowed: Mapping[tuple[Resource, str], int]) -> Iterator[Right]:
    for right in wanted:
        bits = allowed.get((right.resource, right.name), _NOT_TOLD)
        if bits != _NOT_TOLD and not bits & _BITS[right.operation]:
            yield right


async def _of_group(client: Client, group: str) -> int:
    while True:
        code, bits = await _asked(client, group)
        if code in _REFUSED:
            return 0
        if code == 0:
            return bits
        if code not in _NOT_YET:
            raise kafka.for_code(code)
        await asyncio.sleep(_AGAIN_S)


async def _asked(client: Client, group: str) -> tuple[int, int]:
    """The error code of the answer, and the bits of what is allowed."""
    found = await client.send(client.get_random_node(), FindCoordinatorRequest(group, _GROUP))
    if found.error_code:
        return found.error_code, 0
    [(code, *_others, bits)] = (await client.send(found.coordinator_id, GroupRightsRequest(group))).groups
    return code, bits
