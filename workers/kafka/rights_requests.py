"""The requests by which a broker says what we may do: Metadata 12 for topics, DescribeGroups 3 for groups.

aiokafka reads the answer of the second one as that of version 2, without the rights.
"""

from collections.abc import Collection
from typing import Final

from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct

from workers.kafka.topic_id_requests import NO_TOPIC_ID, MetadataRequestV12

NOT_ASKED: Final = -(2**31)
"""In place of rights: the broker did not tell them."""
# Kafka's AclOperation: the bit of each number says whether we have that right.
_OPERATIONS: Final = {3: "Read", 4: "Write", 8: "Describe", 10: "DescribeConfigs"}


def rights_of(bits: int) -> frozenset[str] | None:
    """The names of the rights, as `kafka-acls.sh` writes them; None if the broker did not tell."""
    return None if bits == NOT_ASKED else frozenset(name for bit, name in _OPERATIONS.items() if bits >> bit & 1)


class TopicRightsRequest(Request[MetadataRequestV12]):
    """Asks for partitions and rights of topics. aiokafka raises NotImplementedError if the broker cannot tell."""

    API_KEY = MetadataRequestV12.API_KEY

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequestV12]) -> MetadataRequestV12:
        return request_struct_class(
            topics=[(NO_TOPIC_ID, topic, {}) for topic in self._topics],
            allow_auto_topic_creation=False,
            include_topic_authorized_operations=True,
            tags={},
        )


class DescribeGroupsRequestV3(RequestStruct):
    """See `GroupRightsRequest`."""

    API_KEY = DescribeGroupsRequest_v3.API_KEY
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class GroupRightsRequest(Request[DescribeGroupsRequestV3]):
    """Asks the coordinator of a group what we may do with it."""

    API_KEY = DescribeGroupsRequestV3.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[DescribeGroupsRequestV3]) -> DescribeGroupsRequestV3:
        return request_struct_class(groups=[self._group], include_authorized_operations=True)
