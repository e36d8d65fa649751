"""The request by which a broker says what we may do with topics, and where their partitions are: Metadata 12."""

from collections.abc import Collection
from typing import Final

from aiokafka.protocol.api import Request

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
