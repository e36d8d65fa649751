"""What is right and wrong with the database, from what it said of itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workers.rules.findings import Finding, checked

MINIMUM_VERSION: Final = 15
_GRANT: Final = "GRANT {role} TO {login}"

# What makes a committed transaction disappear, although its outputs are published.
_DURABLE: Final = {
    "fsync": ("off", "on"),
    "full_page_writes": ("off", "on"),
    "synchronous_commit": ("off", "on, or any other value than off"),
}
_LONG_STATEMENTS_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """How many connections something may have, and how many it has now, the questioner's left out."""

    of: str
    limit: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`settings` by PostgreSQL's names, `statement_timeout` in milliseconds. `roles`: those of Sluice that the login
    has. `lacking`: rights that the role should have, such as `SELECT on sluice.sends`. `schema_fault`: why the schema
    is not that of this version. `standby`: it can only be read.
    """

    version: int
    login: str
    superuser: bool = False
    standby: bool = False
    roles: Sequence[str] = ()
    lacking: Sequence[str] = ()
    schema_fault: str | None = None
    schema: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    limits: Sequence[ConnectionLimit] = ()


def database_findings(facts: DatabaseFacts, role: str, schema: int, connections: int) -> list[Finding]:
    """Findings for a process that needs `role`, the schema of that number, and so many connections."""
    return [
        *_version(facts),
        *_schema(facts, schema),
        *_rights(facts, role),
        *_connections(facts, connections),
        *checked("database settings", "durable, UTF-8, and without limits that end transactions", _settings(facts)),
    ]


def _version(facts: DatabaseFacts) -> Iterator[Finding]:
    check, found = "database version", f"PostgreSQL {facts.version}"
    if facts.version < MINIMUM_VERSION:
        yield Finding(check, "problem", found, f"PostgreSQL {MINIMUM_VERSION} or newer", "Upgrade PostgreSQL.")
    elif facts.standby:
        yield Finding(
            check, "problem", f"{found}, which can only be read", "a server that takes writes",
            "Let SLUICE_DATABASE_URL lead to the primary server: target_session_attrs=read-write.",
        )  # fmt: skip
    else:
        yield Finding(check, "ok", found)


def _schema(facts: DatabaseFacts, schema: int) -> Iterator[Finding]:
    check = "schema"
    if facts.schema_fault is None:
        yield Finding(check, "ok", f"schema {schema}")
        return
    number = "no schema of Sluice" if facts.schema is None else f"schema {facts.schema}"
    older = facts.schema is None or facts.schema <= schema
    yield Finding(
        check,
        "problem",
        f"{number}: {facts.schema_fault}",
        f"schema {schema}",
        "Run `sluice migrate` as the owner of the database." if older else "Update Sluice on this machine.",
    )


def _rights(facts: DatabaseFacts, role: str) -> Iterator[Finding]:
    check, login = "database rights", facts.login
    if facts.superuser:
        yield Finding(
            check, "warning", f"{login} is a superuser", f"a login of {role} and nothing more",
            "Let `sluice migrate --worker-env FILE` (or --sender-env, --console-env) make one.",
        )  # fmt: skip
    elif role not in facts.roles:
        has = ", ".join(facts.roles) or "no role of Sluice"
        yield Finding(
            check,
            "problem",
            f"{login} has {has}",
            f"a login of {role}",
            f"Run: {_GRANT.format(role=role, login=login)}",
        )
    elif facts.lacking:
        some = ", ".join(facts.lacking[:5]) + (f" and {len(facts.lacking) - 5} more" if len(facts.lacking) > 5 else "")
        yield Finding(
            check, "problem", f"{login} lacks {some}", f"the rights of {role}",
            f"Grant to {role} what somebody took away: GRANT {facts.lacking[0]} TO {role}",
        )  # fmt: skip
    else:
        yield Finding(check, "ok", f"{login} has {role}")


def _connections(facts: DatabaseFacts, needed: int) -> Iterator[Finding]:
    check = "database connections"
    if not facts.limits:
        return
    least = min(facts.limits, key=lambda one: (one.limit >= needed, one.free))
    found = f"{least.free} of {least.limit} are free, by the limit of {least.of}"
    expected = f"{needed} for one more process (SLUICE_DATABASE_CONNECTIONS)"
    if least.limit < needed:
        yield Finding(
            check, "problem", found, expected, f"Raise the limit of {least.of}, or lower SLUICE_DATABASE_CONNECTIONS."
        )
    elif least.free < needed:
        yield Finding(
            check, "warning", found, expected,
            f"One more process may wait for connections: raise the limit of {least.of}, or stop what holds them.",
        )  # fmt: skip
    else:
        yield Finding(check, "ok", found, expected)


def _settings(facts: DatabaseFacts) -> Iterator[Finding]:
    check = "database settings"
    for name, (bad, good) in _DURABLE.items():
        if facts.settings.get(name) == bad:
            yield Finding(
                check, "problem", f"{name} is {bad}", good,
                f"Set {name}: after a crash of the server transactions would be gone whose outputs are published.",
            )  # fmt: skip
    if (encoding := facts.settings.get("server_encoding", "UTF8")) != "UTF8":
        yield Finding(
            check, "problem", f"server_encoding is {encoding}", "UTF8",
            "Create the database again with ENCODING 'UTF8' TEMPLATE template0: others cannot keep every text.",
        )  # fmt: skip
    if facts.settings.get("default_transaction_read_only") == "on":
        yield Finding(
            check, "problem", "default_transaction_read_only is on", "off",
            "Unset it for the database and for the login: no transaction of a worker could write.",
        )  # fmt: skip
    if facts.settings.get("autovacuum") == "off":
        yield Finding(
            check, "warning", "autovacuum is off", "on", "Set autovacuum = on: tables and indexes grow without it."
        )
    limit_ms = int(facts.settings.get("statement_timeout", "0"))
    if 0 < limit_ms < _LONG_STATEMENTS_MS:
        yield Finding(
            check, "warning", f"statement_timeout is {limit_ms} ms", f"0, or at least {_LONG_STATEMENTS_MS} ms",
            "Unset it for the login of Sluice: workers bound their transactions themselves.",
        )  # fmt: skip
