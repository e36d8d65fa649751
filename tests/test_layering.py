"""The layers hold: rules are pure, SQL and Kafka have one place each. Each check is seen to fail first."""

from pathlib import Path

import pytest

from tests.support.layering import MOST_LINES, MOST_LINES_OF_A_FUNCTION, RULES, Rule, breaches, parsed
from tests.support.layering import connectors_use_what_outsiders_may_use as connectors
from tests.support.layering import errors_are_named as errors
from tests.support.layering import files_and_functions_are_short as short
from tests.support.layering import imports_only_what_is_pure as pure
from tests.support.layering import layers_import_only_what_is_below as layers
from tests.support.layering import only_the_kafka_layer_knows_aiokafka as kafka
from tests.support.layering import reads_no_clock as clock
from tests.support.layering import schemas_know_no_workers as schemas
from tests.support.layering import sql_lives_in_files_of_queries as sql
from tests.support.layering import the_console_uses_what_is_public as console
from tests.support.layering import waits_for_nothing as waits

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    p
    for f in ("connectors", "console", "schemas", "workers", "tests", "benchmarks", "examples", "tools")
    for p in (ROOT / f).rglob("*.py")
)

BAD: list[tuple[Rule, str, str]] = [
    (pure, "workers/rules/x.py", "import asyncio"),
    (pure, "workers/rules/x.py", "import os.path"),
    (pure, "workers/rules/x.py", "from time import monotonic"),
    (pure, "workers/rules/x.py", "def f():\n    import structlog\n"),
    (pure, "workers/rules/x.py", "from workers.store import contacts"),
    (pure, "workers/rules/x.py", "from workers import store"),
    (pure, "workers/rules/x.py", "from ..store import contacts"),
    (pure, "workers/rules/x.py", "import asyncpg"),
    (pure, "schemas/x.py", "from pathlib import Path"),
    (pure, "schemas/x.py", "import logging"),
    (pure, "schemas/x.py", "from zoneinfo import available_timezones"),
    (pure, "workers/rules/x.py", "from zoneinfo import ZoneInfo"),
    (waits, "workers/rules/x.py", "async def f(): ..."),
    (waits, "schemas/x.py", "async def f():\n    async with g(): ...\n"),
    (clock, "workers/rules/x.py", "from datetime import datetime, UTC\nx = datetime.now(UTC)"),
    (clock, "workers/rules/x.py", "from uuid import uuid4\nx = uuid4()"),
    (schemas, "schemas/x.py", "from workers.rules import blocks"),
    (pure, "connectors/providers/x.py", "import httpx"),
    (waits, "connectors/providers/x.py", "async def f(): ..."),
    (connectors, "connectors/sender/x.py", "from workers.store import sends"),
    (connectors, "connectors/receiver/x.py", "from workers.kafka.connection import Kafka"),
    (console, "console/x.py", "from workers.store import reports"),
    (console, "console/api/x.py", "from connectors.channels import channels_of"),
    (kafka, "workers/messages/x.py", "from aiokafka import AIOKafkaConsumer"),
    (kafka, "workers/store/x.py", "import aiokafka.errors"),
    (layers, "workers/store/x.py", "from workers.runtime.ports import Effects"),
    (layers, "workers/store/x.py", "def f():\n    from workers.kafka import topics"),
    (layers, "workers/runtime/x.py", "from workers.messages import worker"),
    (layers, "workers/messages/x.py", "from workers.sends.events import status_event"),
    (layers, "workers/records.py", "from workers import store"),
    (layers, "workers/x.py", "x = 1"),
    (layers, "workers/app/x.py", "from workers import somewhere"),
    (sql, "workers/messages/x.py", "x = 'SELECT 1 FROM messages'"),
    (sql, "workers/messages/x.py", "x = '''\n    select *\n    from messages\n'''"),
    (sql, "workers/billing/x.py", "x = f'INSERT INTO {table} VALUES (1)'"),
    (sql, "workers/store/x.py", "x = f'DELETE FROM {table}'"),
    (sql, "workers/runtime/x.py", "await tx.execute('UPDATE progress p SET lease = NULL')"),
    (errors, "workers/dead_letters/x.py", "try: ...\nexcept Exception: raise\n"),
    (errors, "workers/dead_letters/x.py", "try: ...\nexcept (ValueError, Exception): ...\n"),
    (errors, "workers/dead_letters/x.py", "try: ...\nexcept: ...\n"),
    (errors, "workers/runtime/x.py", "try: ...\nexcept BaseException: ...\n"),
    (short, "workers/x.py", "x = 1\n" * (MOST_LINES + 1)),
    (short, "tests/x.py", "def f():\n" + "    x = 1\n" * MOST_LINES_OF_A_FUNCTION),
]

GOOD: list[tuple[Rule, str, str]] = [
    (
        pure,
        "workers/rules/x.py",
        "from schemas.zones import zone\nimport phonenumbers\nfrom workers.rules.blocks import Interval",
    ),
    (pure, "schemas/x.py", "import msgspec\nfrom schemas.fields import Id"),
    (pure, "schemas/__main__.py", "from pathlib import Path"),
    (pure, "schemas/zones.py", "from zoneinfo import ZoneInfo"),
    (waits, "workers/messages/x.py", "async def f(): ..."),
    (
        connectors,
        "connectors/x.py",
        "from workers.app.settings import Settings\nfrom workers.process.logs import visible",
    ),
    (
        console,
        "console/x.py",
        "from workers.rules.permissions import TABLE\nfrom workers.process.postgres import Postgres",
    ),
    (kafka, "workers/kafka/x.py", "import aiokafka"),
    (
        layers,
        "workers/runtime/x.py",
        "from workers.store.connection import Connection\nfrom workers.records import Batch",
    ),
    (layers, "workers/cli/x.py", "from workers.dev.demo import demo"),
    (layers, "tests/x.py", "from workers.cli import main"),
    (sql, "workers/messages/x.py", "def f():\n    '''Select what came from messages.'''\nx = f'update the {x}'"),
    (errors, "workers/app/supervisor.py", "try: ...\nexcept Exception: ...\n"),
    (errors, "workers/runtime/x.py", "try: ...\nexcept BaseException as error:\n    raise ValueError from error\n"),
    (short, "workers/x.py", "x = 1\n" * MOST_LINES),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_a_breach_is_found(rule: Rule, path: str, text: str) -> None:
    assert list(rule(parsed(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_what_is_allowed_is_no_breach(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(parsed(path, text)))


def test_every_rule_has_been_seen_to_fail() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_no_file_breaches_its_layer() -> None:
    found = [b for p in FILES for b in breaches(parsed(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")))]
    assert FILES
    assert not found, "\n".join(found)
