"""`sluice users` and `sluice tokens`, with the role of the console."""

import asyncio
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from console.access import Access
from console.person import Person
from console.process import console_postgres
from tests.cli.commands import SLUICE, Ended
from tests.cli.inside import document_of, runner
from tests.support.databases import console_of, reader_of
from workers.app.settings import load_settings
from workers.errors import ExitCode

PASSWORD = "correct horse"  # noqa: S105 - nobody's
ADD = ("users", "add", "olga", "--role", "owner", "--workspace", "acme", "--password-stdin")


@pytest.fixture
def sluice(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    run = runner(monkeypatch, capsys, 240, DATABASE_URL=asyncio.run(console_of(database)))

    def typing(*arguments: str, typed: str = PASSWORD) -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        return run(*arguments)

    return typing


def users(sluice: Callable[..., Ended]) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in document_of(sluice("users", "list", "--json"))}


def test_a_user_is_added_listed_and_disabled(sluice: Callable[..., Ended]) -> None:
    made = sluice(*ADD)
    bound = ("users", "add", "max", "--role", "manager", "--operator", "--restrict", "data_export", "--no-password")
    assert (made.code, sluice(*bound).code) == (ExitCode.CLEAN, ExitCode.CLEAN)
    assert "the workspace 'acme' has had no record yet" in made.err

    found = users(sluice)
    assert (found["olga"]["role"], found["olga"]["workspaces"], found["olga"]["has_password"]) == (
        *("owner", ["acme"]),
        True,
    )
    assert (found["max"]["is_operator"], found["max"]["restrictions"], found["max"]["has_password"]) == (
        *(True, ["data_export"]),
        False,
    )
    assert "argon2" not in sluice("users", "list", "--json").out
    assert "olga" in sluice("users", "list").out

    assert sluice("users", "disable", "olga").code == ExitCode.CLEAN
    assert users(sluice)["olga"]["disabled_at"] is not None
    again = sluice("users", "disable", "olga")
    assert (again.code, "there is no user 'olga'" in again.err) == (ExitCode.FAULT, True)


def test_a_name_that_is_taken_is_refused_and_that_of_a_disabled_user_enables_it(sluice: Callable[..., Ended]) -> None:
    sluice(*ADD)

    taken = sluice(*ADD)
    assert (taken.code, "there is a user 'olga' already" in taken.err) == (ExitCode.FAULT, True)

    sluice("users", "disable", "olga")
    assert sluice("users", "add", "olga", "--role", "agent", "--workspace", "b", "--password-stdin").code == 0
    found = users(sluice)["olga"]
    assert (found["role"], found["workspaces"], found["disabled_at"]) == ("agent", ["b"], None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("olga", "--role", "owner"), "say which workspaces it sees"),
        (("olga", "--role", "boss", "--workspace", "a"), "--role: "),
        (("olga", "--role", "system", "--workspace", "a"), "--role: expected owner, manager or agent"),
        (("olga", "--role", "owner", "--workspace", "a/b"), "--workspace: "),
        (("olga", "--role", "manager", "--workspace", "a", "--restrict", "sleep"), "--restrict: "),
        (("olga", "--role", "owner", "--workspace", "a", "--restrict", "settings"), "--restrict binds managers"),
        (("", "--role", "owner", "--workspace", "a"), "NAME: "),
        (("a\nb", "--role", "owner", "--workspace", "a"), "NAME: expected printable"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_option(
    arguments: tuple[str, ...], told: str, sluice: Callable[..., Ended]
) -> None:
    for kind, password in (("users", ["--password-stdin"]), ("tokens", [])):
        ended = sluice(kind, "add", *arguments, *password)

        assert (ended.code, told in ended.err) == (ExitCode.SETUP, True), ended.err
    assert users(sluice) == {}


@pytest.mark.parametrize("typed", ["short", "", "x" * 1_001])
def test_a_password_has_a_length(typed: str, sluice: Callable[..., Ended]) -> None:
    ended = sluice(*ADD, typed=typed)

    assert (ended.code, "10 to 1,000 characters" in ended.err) == (ExitCode.SETUP, True)
    assert users(sluice) == {}


def test_another_password_ends_every_login(sluice: Callable[..., Ended]) -> None:
    sluice(*ADD)
    session = asyncio.run(with_access(_signed_in))
    assert asyncio.run(with_access(lambda access: access.of_session(session))) == Person("olga", "owner", ["acme"], [])

    assert sluice("users", "passwd", "olga", "--password-stdin", typed="battery staple").code == ExitCode.CLEAN

    assert asyncio.run(with_access(lambda access: access.of_session(session))) is None
    unknown = sluice("users", "passwd", "otto", "--password-stdin")
    assert (unknown.code, "there is no user 'otto'" in unknown.err) == (ExitCode.FAULT, True)


async def with_access(work: Callable[[Access], Coroutine[Any, Any, Any]]) -> Any:
    postgres = console_postgres(load_settings())
    try:
        return await work(Access(postgres))
    finally:
        await postgres.stop()


async def _signed_in(access: Access) -> str | None:
    return await access.by_link(await access.link("olga") or "")


def test_a_terminal_is_asked_twice(sluice: Callable[..., Ended]) -> None:
    for second, code in (("another one", ExitCode.SETUP), (PASSWORD, ExitCode.CLEAN)):
        assert _on_a_terminal(("Password of olga: ", PASSWORD), ("The same again: ", second)) == code
    assert list(users(sluice)) == ["olga"]


def _on_a_terminal(*answers: tuple[str, str]) -> int:
    arguments = [str(SLUICE), "users", "add", "olga", "--role", "owner", "--operator"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as asked:  # noqa: S603
        said = ""
        for prompt, answer in answers:
            while prompt not in said:
                said += os.read(ours, 1_000).decode()
            os.write(ours, f"{answer}\n".encode())
        code = asked.wait(60)
    os.close(theirs)
    os.close(ours)
    return code


def test_a_token_is_shown_once(sluice: Callable[..., Ended]) -> None:
    add = ("tokens", "add", "import", "--role", "owner", "--workspace", "acme")
    made = document_of(sluice(*add, "--json"))
    assert (made["name"], len(made["token"]) >= 40) == ("import", True)

    taken = sluice(*add)
    assert (taken.code, "there is a token 'import' already" in taken.err) == (ExitCode.FAULT, True)
    listed = sluice("tokens", "list", "--json")
    assert made["token"] not in listed.out
    assert [row["revoked_at"] for row in json.loads(listed.out)] == [None]

    assert sluice("tokens", "revoke", "import").code == ExitCode.CLEAN
    assert sluice("tokens", "revoke", "import").code == ExitCode.FAULT
    assert sluice(*add).code == ExitCode.CLEAN
    assert [row["revoked_at"] is None for row in document_of(sluice("tokens", "list", "--json"))] == [False, True]


def test_another_role_is_refused_in_one_line(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(monkeypatch, capsys, DATABASE_URL=asyncio.run(reader_of(database)))
    for command in (("users", "list"), ("tokens", "list"), ("users", "disable", "olga")):
        ended = run(*command)

        assert (ended.code, "sluice_console" in ended.err) == (ExitCode.SETUP, True), ended.err
