"""`sluice records`: what of a file the workers could not read, and why; and the schemas of topics."""

import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from schemas import limits
from schemas.checking import DECODERS
from schemas.topics import INPUTS, TOPICS
from tests.acceptance.making import WHATSAPP, Maker
from tests.cli.commands import Ended
from tests.cli.inside import runner
from workers.app.composition import ALL, plan_of
from workers.cli.record_lines import checked
from workers.errors import ExitCode

DOCS: Final = Path(__file__).parents[2] / "docs"
MAKER: Final = Maker("acme")


@pytest.fixture
def sluice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def lines(*values: Any) -> bytes:
    return b"".join((v if isinstance(v, bytes) else msgspec.json.encode(v)) + b"\n" for v in values)


def problems(sluice: Callable[..., Ended], topic: str, *values: Any) -> list[tuple[int, str, str]]:
    Path("records").write_bytes(lines(*values))
    ended = sluice("records", "check", topic, "records", "--json")
    told = json.loads(ended.out)
    assert (ended.code, ended.err) == (ExitCode.FAULT if told["problems"] else ExitCode.CLEAN, "")
    assert told["records"] == told["readable"] + told["refused"] + told["dead_letters"]
    assert len(told["problems"]) == told["refused"] + told["dead_letters"]
    return [(one["line"], one["outcome"], one["error"]) for one in told["problems"]]


def test_inputs_are_read_as_the_workers_read_them() -> None:
    decoders = {topic: decode for spec in plan_of([ALL]).specs for topic, decode in spec.decoders.items()}
    assert decoders == DECODERS
    assert {topic.name for topic in INPUTS} == set(DECODERS)


@pytest.mark.parametrize("topic", [topic.name for topic in INPUTS])
def test_the_examples_of_the_documents_are_readable(topic: str, sluice: Callable[..., Ended]) -> None:
    value = json.loads((DOCS / "golden" / f"{topic}.json").read_text(encoding="utf-8"))["value"]
    assert problems(sluice, topic, value, value) == []
    ended = sluice("records", "check", topic, "records")
    assert (ended.code, ended.out) == (ExitCode.CLEAN, f"2 records of {topic}: 2 readable\n")


def test_each_poison_record_is_named_with_its_line_and_its_error(sluice: Callable[..., Ended]) -> None:
    good = MAKER.message()
    without = {name: value for name, value in good.items() if name != "sender"}
    found = problems(
        sluice, "messages.inbound", good, b"", b"{not json", good, b"  \r", good | {"channel": "fax"}, without
    )

    assert [(line, outcome) for line, outcome, _ in found] == [
        (3, "dead_letter"),
        (6, "dead_letter"),
        (7, "dead_letter"),
    ]
    assert "malformed" in found[0][2]
    assert "`$.channel`" in found[1][2]
    assert "sender" in found[2][2]
    assert "fax" not in str(found)


@pytest.mark.parametrize(
    ("topic", "good", "wrong", "lost"),
    [
        ("messages.outbound", MAKER.send(), {"content": {"type": "text"}}, {"send_id": "7"}),
        (
            "contacts.commands",
            MAKER.command("add_tag", tag="t", identity=WHATSAPP),
            {"tag": 7},
            {"command": "frobnicate"},
        ),
    ],
)
def test_what_has_an_id_is_refused_as_invalid(
    topic: str, good: Any, wrong: Any, lost: Any, sluice: Callable[..., Ended]
) -> None:
    found = problems(sluice, topic, good, good | wrong, good | lost)
    assert [(line, outcome) for line, outcome, _ in found] == [(2, "refused"), (3, "dead_letter")]
    ended = sluice("records", "check", topic, "records")
    assert ended.out.splitlines()[-1] == f"3 records of {topic}: 1 readable, 1 refused, invalid, 1 dead letter"
    assert all(words in ended.out for words in ("2  refused, invalid", "3  dead letter"))


def test_a_limit_bounds_what_is_shown_and_not_what_is_counted(sluice: Callable[..., Ended]) -> None:
    Path("records").write_bytes(lines(b"1", b"2", b"3"))
    ended = sluice("records", "check", "messages.inbound", "records", "--limit", "2", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["dead_letters"], len(told["problems"])) == (ExitCode.FAULT, 3, 2)
    assert ended.err == "--limit 2 is reached; not shown: 1.\n"


def test_standard_input_is_read(sluice: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(MAKER.message(), b"{}"))))
    ended = sluice("records", "check", "messages.inbound", "-")
    assert ended.code == ExitCode.FAULT
    assert "2 records of messages.inbound: 1 readable, 1 dead letter" in ended.out


class Endless(io.RawIOBase):
    """One line of that many bytes, then a record."""

    def __init__(self, size: int, record: bytes) -> None:
        self._left, self._record = size, b"\n" + record

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if self._left:
            count = min(len(into), self._left)
            into[:count] = b" " * count
            self._left -= count
            return count
        piece, self._record = self._record[: len(into)], self._record[len(into) :]
        into[: len(piece)] = piece
        return len(piece)


def test_a_line_of_any_length_needs_little_memory() -> None:
    file = io.BufferedReader(Endless(64 * 1024 * 1024, msgspec.json.encode(MAKER.message())))
    tracemalloc.start()
    try:
        told = checked("messages.inbound", file, 10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (told["records"], told["readable"]) == (2, 1)
    assert told["problems"][0]["error"].endswith(f"at most {limits.MAX_VALUE_BYTES} bytes, got {64 * 1024 * 1024}")
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize(("size", "records"), [(limits.MAX_VALUE_BYTES, 1), (limits.MAX_VALUE_BYTES + 1, 0)])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_record_may_be_as_large_as_the_workers_take_it(size: int, records: int, ending: bytes) -> None:
    value = msgspec.json.encode(MAKER.message())
    assert checked("messages.inbound", io.BytesIO(value.ljust(size) + ending), 1)["readable"] == records


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_a_schema_is_the_published_one(topic: str, sluice: Callable[..., Ended]) -> None:
    ended = sluice("records", "schema", topic)
    assert (ended.code, ended.out) == (
        ExitCode.CLEAN,
        (DOCS / "schemas" / f"{topic}.json").read_text(encoding="utf-8"),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "messages.inbuond", "records"), "messages.inbuond is no input topic"),
        (("check", "sends.dispatch", "records"), "sends.dispatch is no input topic"),
        (("check", "messages.inbound", "missing"), "missing cannot be read: No such file"),
        (("check", "messages.inbound", "."), ". cannot be read: Is a directory"),
        (("check", "messages.inbound"), "FILE"),
        (("schema", "messages.inbuond"), "messages.inbuond is no topic"),
        (("schema", "webhooks.unmapped"), "has no schema"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], words: str, sluice: Callable[..., Ended]) -> None:
    ended = sluice("records", *arguments)
    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert words in ended.err
