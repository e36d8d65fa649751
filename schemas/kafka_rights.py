"""The rights in Kafka that each kind of program needs, and no others: what ACLs are made of.

A right to read or to write a topic includes the right to describe it. Nothing here creates a topic, and nothing needs
a right on the cluster: producers are idempotent by their right to write.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.topics import INPUTS, OUTPUTS, UNMAPPED

_MOST_NAMED: Final = 3
_PRINCIPAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*:[^\s*][^\x00-\x1f\x7f]{0,248}")


class Operation(StrEnum):
    """What may be done, in Kafka's words."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE_CONFIGS = "DescribeConfigs"


class Resource(StrEnum):
    """What it may be done to."""

    TOPIC = "topic"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one topic or consumer group of the cluster; `prefixed`: on all whose names begin like that."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True, slots=True)
class Acl:
    """A right that a principal of the cluster has as this kind of program."""

    role: str
    principal: str
    right: Right


@dataclass(frozen=True, slots=True)
class Needs:
    """What a program does, by names without prefixes. `groups` are exact, `group_families` are how names begin."""

    about: str
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    checks: Sequence[str] = ()
    groups: Sequence[str] = ()
    group_families: Sequence[str] = ()


_INPUTS: Final = tuple(topic.name for topic in INPUTS)
_OUTPUTS: Final = tuple(topic.name for topic in OUTPUTS)
COMPACTED: Final = ("contacts.changes", "billing.mac")
"""Read back by compaction repair."""
GROUPS: Final = ("inbound", "outbound", "commands", "workflows")
"""Of the workers that consume."""
TOLD: Final = (
    *("sends.status", "commands.results", "billing.mac", "messages.accepted", "messages.dropped", "messages.revised"),
    "dead.letters",
)
"""Topics whose records become events of the console."""

ROLES: Final[Mapping[str, Needs]] = MappingProxyType(
    {
        "worker": Needs("sluice worker", reads=(*_INPUTS, *COMPACTED), writes=_OUTPUTS, checks=_INPUTS, groups=GROUPS),
        "receiver": Needs("sluice receive", writes=("messages.inbound", "messages.receipts", UNMAPPED.name)),
        "announcer": Needs(
            "sluice receive, besides, where channels have `name` or `default_region`; may give any command",
            writes=("contacts.commands",),
        ),
        "sender": Needs(
            "sluice send", reads=("sends.dispatch",), writes=("messages.receipts",), group_families=("send",)
        ),
        "console": Needs("sluice serve", reads=TOLD, writes=("contacts.commands", "messages.outbound")),
        "replayer": Needs("sluice dead-letters replay, also in the console", writes=_INPUTS),
        "webhook-replayer": Needs(
            "sluice channels replay", reads=(UNMAPPED.name,), writes=("messages.inbound", "messages.receipts")
        ),
        "engine-feed": Needs("sluice engine", reads=("workflows.control",), group_families=("engine-",)),
        "billing": Needs(
            "a program that reads counts", reads=("billing.mac", "billing.alerts"), group_families=("billing-reader",)
        ),
        "connector": Needs(
            "a connector that is not Sluice's",
            reads=("sends.dispatch",),
            writes=("messages.inbound", "messages.receipts"),
            group_families=("connector",),
        ),
        "inbox": Needs(
            "an inbox or an API that is not Sluice's; may give any command",
            reads=("messages.accepted", "messages.revised", "sends.status", "commands.results", "contacts.changes"),
            writes=("messages.outbound", "contacts.commands"),
            group_families=("inbox",),
        ),
        "engine": Needs(
            "a workflow engine",
            reads=("workflows.control", "messages.accepted", "sends.status"),
            writes=("workflows.events", "messages.outbound"),
            group_families=("workflow-engine",),
        ),
    }
)
"""Every kind of program. One login may be several of them."""


def rights_of(role: str, topic_prefix: str, group_prefix: str) -> list[Right]:
    """The rights of a role of `ROLES` on a cluster where names have these prefixes."""
    needs = ROLES[role]
    done = ((needs.reads, Operation.READ), (needs.writes, Operation.WRITE), (needs.checks, Operation.DESCRIBE_CONFIGS))
    topics = [Right(Resource.TOPIC, topic_prefix + name, operation) for names, operation in done for name in names]
    groups = [group_right(f"{group_prefix}-{name}") for name in needs.groups]
    families = [group_right(f"{group_prefix}-{name}", prefixed=True) for name in needs.group_families]
    return [*topics, *groups, *families]


def group_right(name: str, *, prefixed: bool = False) -> Right:
    """The right to be a member of a consumer group."""
    return Right(Resource.GROUP, name, Operation.READ, prefixed)


def principals_of(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Roles and principals of texts `ROLE=User:NAME`.

    Raises:
        ValueError: a text is something else, with what is wrong in words.
    """
    found = []
    for text in texts:
        role, _, principal = text.partition("=")
        if role not in ROLES:
            raise ValueError(f"{text!r}: expected ROLE=User:NAME with a role of {', '.join(ROLES)}")
        if not _PRINCIPAL.fullmatch(principal):
            raise ValueError(f"{text!r}: the principal must be User:NAME, as Kafka names it, and one user's")
        found.append((role, principal))
    return found


def acls_of(principals: Iterable[tuple[str, str]], topic_prefix: str, group_prefix: str) -> list[Acl]:
    """The ACLs of these roles and principals."""
    return [
        Acl(role, principal, right)
        for role, principal in principals
        for right in rights_of(role, topic_prefix, group_prefix)
    ]


def complaint(role: str, user: str | None, missing: Sequence[Right]) -> str:
    """One sentence about missing rights, with the command that grants them. `user`: the name that logs in, if any."""
    named = ", ".join(str(right) for right in missing[:_MOST_NAMED])
    others = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    whom = f"the user {user}" if user else "this login"
    return (
        f"Kafka does not grant {whom}: {named}{others}. Grant it: "
        f"sluice topics --apply-acls --principal '{role}=User:{user or 'NAME'}'"
    )
