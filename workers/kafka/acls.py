"""Rights of logins on a cluster: which ones a login lacks, and ACLs that grant them.

aiokafka's admin client has the requests for ACLs, but no methods for them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from schemas.kafka_rights import Acl, Operation, Resource, Right
from workers.errors import SetupError
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained, refusals_explained
from workers.kafka.operator_queries import administering
from workers.process.granted_rights import missing_rights

ANY_HOST: Final = "*"
_ANY: Final = 1
_ALLOW: Final = 3
_LITERAL: Final = 3
_PREFIXED: Final = 4
_RESOURCES: Final = {Resource.TOPIC: 2, Resource.GROUP: 3}
_OPERATIONS: Final = {Operation.READ: 3, Operation.WRITE: 4, Operation.DESCRIBE_CONFIGS: 10}
_WORDS: Final[Mapping[int, str]] = {
    2: "All",
    **{code: name.value for name, code in _OPERATIONS.items()},
    5: "Create",
    6: "Delete",
    7: "Alter",
    8: "Describe",
    9: "ClusterAction",
    11: "AlterConfigs",
    12: "IdempotentWrite",
}
_KINDS: Final[Mapping[int, str]] = {
    **{code: name.value for name, code in _RESOURCES.items()},
    4: "cluster",
    5: "transactional-id",
}
_Found = tuple[int, str, int, int]
"""Resource type, its name, the pattern, the operation: codes of the protocol."""


@dataclass(frozen=True, slots=True)
class AclReport:
    """What was set, what was there before, and by principal what else it may do: not Sluice's, and left as it is."""

    created: Sequence[Acl]
    existing: Sequence[Acl]
    beyond: Mapping[str, Sequence[str]]


async def lacking(cluster: Kafka, wanted: Sequence[Right]) -> list[Right]:
    """Those of the rights that the login of the settings lacks.

    Raises:
        SetupError: Kafka refuses the login. Other errors as aiokafka.
    """
    with refusals_explained("us"):
        async with administering(cluster, "rights") as admin:
            return await missing_rights(admin._client, wanted)  # noqa: SLF001 - aiokafka has no other way


async def apply(cluster: Kafka, wanted: Sequence[Acl]) -> AclReport:
    """Sets the ACLs that are missing, for connections from any host. Takes none away.

    Raises:
        SetupError: Kafka refuses, or has no authorizer.
        Unreachable: Kafka does not answer.
    """
    with answers_explained(cluster):
        async with administering(cluster, "acls") as admin:
            before = {who: await _granted(admin, who) for who in sorted({acl.principal for acl in wanted})}
            existing = [acl for acl in wanted if _code(acl.right) in before[acl.principal]]
            created = [acl for acl in wanted if acl not in existing]
            for acl in created:
                await _create(admin, acl)
    return AclReport(created, existing, _beyond(wanted, before))


async def _granted(admin: Any, principal: str) -> set[_Found]:
    anything: Any = None
    request = DescribeAclsRequest(_ANY, anything, _ANY, principal, anything, _ANY, _ANY)
    answer = await admin._send_to_controller(request)  # noqa: SLF001 - see the module
    _raise_for(answer.error_code, answer.error_message)
    return {
        (kind, name, pattern, operation)
        for kind, name, pattern, acls in answer.resources
        for _who, host, operation, permission in acls
        if permission == _ALLOW and host == ANY_HOST
    }


async def _create(admin: Any, acl: Acl) -> None:
    kind, name, pattern, operation = _code(acl.right)
    request = CreateAclsRequest(kind, name, pattern, acl.principal, ANY_HOST, operation, _ALLOW)
    answer = await admin._send_to_controller(request)  # noqa: SLF001 - see the module
    for code, message in answer.creation_responses:
        _raise_for(code, message)


def _code(right: Right) -> _Found:
    pattern = _PREFIXED if right.prefixed else _LITERAL
    return _RESOURCES[right.resource], right.name, pattern, _OPERATIONS[right.operation]


def _beyond(wanted: Iterable[Acl], before: Mapping[str, set[_Found]]) -> dict[str, list[str]]:
    needed: dict[str, set[_Found]] = defaultdict(set)
    for acl in wanted:
        needed[acl.principal].add(_code(acl.right))
    more = {who: sorted(map(_words, found - needed[who])) for who, found in before.items()}
    return {who: rights for who, rights in more.items() if rights}


def _words(found: _Found) -> str:
    kind, name, pattern, operation = found
    star = "*" if pattern == _PREFIXED else ""
    return f"{_WORDS.get(operation, operation)} on {_KINDS.get(kind, kind)} {name}{star}"


def _raise_for(code: int, message: str | None) -> None:
    if code == 0:
        return
    if code == kafka.SecurityDisabled.errno:
        raise SetupError("Kafka has no authorizer (authorizer.class.name): everybody may do everything, ACLs or not")
    if code == kafka.ClusterAuthorizationFailedError.errno:
        raise SetupError("Kafka does not let this login see and set ACLs: it needs Alter and Describe on the cluster")
    raise SetupError(f"Kafka refuses the ACLs: {message or kafka.for_code(code).__name__}")
