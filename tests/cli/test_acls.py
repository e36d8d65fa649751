"""`sluice topics --acls`: what each kind of program may do, as a script of Kafka's own commands and as JSON."""

import shlex
from collections.abc import Callable

import pytest

from console.events.happenings import TOPICS as EVENTS
from schemas.kafka_rights import ROLES, TOLD, Operation, Resource, principals_of, rights_of
from schemas.topics import EVERY_TOPIC
from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from workers.errors import ExitCode

Run = Callable[..., Ended]


@pytest.fixture
def sluice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys, TOPIC_PREFIX="eu.", GROUP_PREFIX="eu-sluice", KAFKA_BOOTSTRAP="kafka:9093")


def of_script(script: str) -> set[tuple[str, ...]]:
    """Principal, resource, name, pattern and operation of every right that the script grants."""
    found: set[tuple[str, ...]] = set()
    for line in script.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[:4] == ["kafka-acls.sh", "--bootstrap-server", "kafka:9093", "--add"]
        options = list(zip(words[4::2], words[5::2], strict=True))
        told = dict(options)
        pattern = told.get("--resource-pattern-type", "literal")
        for option, name in options:
            if option in ("--topic", "--group"):
                found.add((told["--allow-principal"], option[2:], name, pattern, told["--operation"]))
    return found


def test_the_script_and_the_document_grant_the_same(sluice: Run) -> None:
    script = sluice("topics", "--acls")
    documents = document_of(sluice("topics", "--acls", "--json"))
    fields = ("principal", "resource", "name", "pattern", "operation")

    assert (script.code, script.err) == (ExitCode.CLEAN, "")
    assert of_script(script.out) == {tuple(one[field] for field in fields) for one in documents}
    assert {one["principal"] for one in documents} == {f"User:sluice-{role}" for role in ROLES}
    assert {one["name"].split("-")[0].split(".")[0] for one in documents} == {"eu"}


def test_one_login_may_be_several_programs(sluice: Run) -> None:
    whom = ("--principal", "receiver=User:in", "--principal", "announcer=User:in")
    documents = document_of(sluice("topics", "--acls", *whom, "--json"))

    assert {one["name"] for one in documents} == {
        *("eu.messages.inbound", "eu.messages.receipts", "eu.webhooks.unmapped", "eu.contacts.commands")
    }
    assert {one["operation"] for one in documents} == {"Write"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--acls", "--principal", "worker"), "the principal must be User:NAME"),
        (("--acls", "--principal", "worker=ada"), "the principal must be User:NAME"),
        (("--acls", "--principal", "worker=User:*"), "the principal must be User:NAME"),
        (("--acls", "--principal", "boss=User:ada"), "with a role of worker, receiver"),
        (("--principal", "worker=User:ada"), "--principal belongs to --acls or --apply-acls"),
        (("--acls", "--describe"), "give one of --describe, --acls and --apply-acls"),
        (("--apply-acls",), "--apply-acls: say whom with --principal ROLE=User:NAME"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(sluice: Run, arguments: tuple[str, ...], told: str) -> None:
    ended = sluice("topics", *arguments)

    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert told in ended.err


def test_every_right_is_on_a_topic_that_exists_and_no_program_creates_any() -> None:
    rights = [right for role in ROLES for right in rights_of(role, "", "g")]

    assert {right.name for right in rights if right.resource is Resource.TOPIC} == set(EVERY_TOPIC)
    assert {right.operation for right in rights} == set(Operation)
    assert not any(right.prefixed for right in rights if right.resource is Resource.TOPIC)


def test_what_the_console_reads_is_what_its_role_reads() -> None:
    assert set(TOLD) == set(EVENTS)


def test_a_principal_may_be_named_by_a_certificate() -> None:
    name = "User:CN=sluice,OU=mail,O=Acme"

    assert principals_of([f"worker={name}"]) == [("worker", name)]
