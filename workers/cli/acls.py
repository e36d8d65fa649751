"""Output of `sluice topics --acls` and `--apply-acls`."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from schemas.kafka_rights import ROLES, Acl, Right, acls_of, principals_of
from workers.app.settings import Settings
from workers.cli.reports import as_document
from workers.cli.terminal import run_to_end, say
from workers.errors import SettingsError
from workers.kafka import acls as on_cluster
from workers.terminal_text import visible


def show(settings: Settings, principals: Sequence[str], *, as_json: bool) -> None:
    """Prints the ACLs of the principals, `ROLE=User:NAME`; without any, of every role with a name of its own. Asks no
    server.

    Raises:
        SettingsError: a principal is wrong.
    """
    wanted = _wanted(settings, principals or [f"{role}=User:sluice-{role}" for role in ROLES])
    if as_json:
        as_document([_document(acl) for acl in wanted])
        return
    place = settings.kafka_bootstrap or "localhost:9092"
    for role, acls in groupby(wanted, lambda acl: acl.role):
        print(f"# {role}: {ROLES[role].about}")
        for whom, rights in groupby(acls, lambda acl: acl.principal):
            print("\n".join(_commands(place, whom, [acl.right for acl in rights])))
        print()


def apply(settings: Settings, principals: Sequence[str], *, as_json: bool) -> None:
    """Sets the missing ACLs of the principals, and says what they had before.

    Raises:
        SettingsError: a principal is wrong, or none is given.
        SetupError, Unreachable: see `workers.kafka.acls.apply`.
    """
    if not principals:
        raise SettingsError("--apply-acls: say whom with --principal ROLE=User:NAME")
    done = run_to_end(on_cluster.apply(settings.kafka(), _wanted(settings, principals)))
    if as_json:
        existing = [_document(acl) for acl in done.existing]
        as_document({"created": [_document(a) for a in done.created], "existing": existing, "beyond": done.beyond})
        return
    for acl in done.created:
        print(visible(f"created {acl.principal}: {acl.right}"))
    print(f"{len(done.created)} created, {len(done.existing)} were there")
    for whom, rights in done.beyond.items():
        say(f"{whom} has more than this needs: {', '.join(rights)}")


def _wanted(settings: Settings, principals: Sequence[str]) -> list[Acl]:
    try:
        return acls_of(principals_of(principals), settings.topic_prefix, settings.group_prefix)
    except ValueError as error:
        raise SettingsError(f"--principal {error}") from None


def _document(acl: Acl) -> dict[str, Any]:
    return {
        "role": acl.role,
        "principal": acl.principal,
        "resource": acl.right.resource,
        "name": acl.right.name,
        "pattern": "prefixed" if acl.right.prefixed else "literal",
        "operation": acl.right.operation,
        "permission": "allow",
        "host": on_cluster.ANY_HOST,
    }


def _commands(place: str, principal: str, rights: Sequence[Right]) -> Iterator[str]:
    """A command of Kafka for each operation and kind of resource."""

    def kind(right: Right) -> tuple[str, str, bool]:
        return right.operation, right.resource, right.prefixed

    for (operation, resource, prefixed), some in groupby(sorted(rights, key=kind), kind):
        words = ["kafka-acls.sh", "--bootstrap-server", place, "--add", "--allow-principal", principal]
        words += ["--operation", operation]
        words += [word for right in some for word in (f"--{resource}", right.name)]
        yield visible(shlex.join([*words, *(["--resource-pattern-type", "prefixed"] if prefixed else [])]))
