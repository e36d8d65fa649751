"""How often somebody may ask, and what a proxy may say: decided without a server."""

from ipaddress import ip_network

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.pages.login import own_path
from console.proxy import TrustedProxy
from console.rates import BURST, PER_SECOND, Rates

PROXY = TrustedProxy("X-Forwarded-User", [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def request(peer: str, *headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode("utf-8")) for name, value in headers]
    return Request({"type": "http", "scheme": "http", "path": "/", "headers": raw, "client": (peer, 1), "server": None})


def refused(rates: Rates, who: bytes) -> str | None:
    try:
        rates.take(who)
    except HTTPException as error:
        return f"{error.status_code}, {(error.headers or {})['retry-after']}"
    return None


def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    clock = Clock()
    rates = Rates(clock)

    assert [refused(rates, b"a") for _ in range(BURST)] == [None] * BURST
    assert refused(rates, b"a") == "429, 1"
    assert refused(rates, b"b") is None

    clock.now = 3 / PER_SECOND
    assert [refused(rates, b"a") for _ in range(4)] == [None, None, None, "429, 1"]

    clock.now = 1e6
    assert [refused(rates, b"a") for _ in range(BURST + 1)] == [None] * BURST + ["429, 1"]


def test_who_has_not_asked_for_long_is_forgotten() -> None:
    rates = Rates(Clock())
    for number in range(10_001):
        rates.take(number.to_bytes(4, "big"))
    assert len(rates._buckets) == 10_000  # noqa: SLF001 - nothing else shows the memory


@pytest.mark.parametrize(
    ("peer", "headers", "user"),
    [
        ("10.1.2.3", [("X-Forwarded-User", "olga")], "olga"),
        ("10.1.2.3", [("x-forwarded-user", "ольга")], "ольга"),
        ("::ffff:10.1.2.3", [("X-Forwarded-User", "olga")], "olga"),
        ("fd00::1", [("X-Forwarded-User", "olga")], "olga"),
        ("11.1.2.3", [("X-Forwarded-User", "olga")], None),
        ("11.1.2.3", [("X-Forwarded-User", "olga"), ("X-Forwarded-For", "10.1.2.3")], None),
        ("10.1.2.3", [("X-Forwarded-User", "olga"), ("X-Forwarded-User", "max")], None),
        ("10.1.2.3", [("X-Forwarded-User", "")], None),
        ("10.1.2.3", [("X-Remote-User", "olga")], None),
        ("", [("X-Forwarded-User", "olga")], None),
    ],
)
def test_only_the_proxy_names_a_user(peer: str, headers: list[tuple[str, str]], user: str | None) -> None:
    assert PROXY.user(request(peer, *headers)) == user
    assert TrustedProxy().user(request(peer, *headers)) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("11.0.0.1", "1.2.3.4", "11.0.0.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("::ffff:11.0.0.1", "", "11.0.0.1"),
    ],
)
def test_an_address_is_that_of_the_browser(peer: str, forwarded: str, address: str) -> None:
    assert PROXY.address(request(peer, *([("X-Forwarded-For", forwarded)] if forwarded else []))) == address


def test_tls_is_believed_of_the_proxy_only() -> None:
    said = ("X-Forwarded-Proto", "https")
    asked = [request("10.0.0.1", said), request("11.0.0.1", said), request("10.0.0.1"), request("10.0.0.1", said, said)]

    assert [PROXY.is_secure(one) for one in asked] == [True, False, False, False]


@pytest.mark.parametrize(
    "asked",
    [
        *("", "//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"),
        *("/\t/evil.example", "/a\r\nset-cookie: a=b", "//evil.example@sluice", "w/acme", "/login", "/logout", "/ü"),
        *("///evil.example", f"/{'a' * 2_000}", " /a", "/login/abc"),
    ],
)
def test_a_login_leads_to_pages_of_this_site_only(asked: str) -> None:
    assert own_path(asked) == "/"


@pytest.mark.parametrize("asked", ["/", "/w/acme/contacts?q=%C3%BC&tag=a", "/w/acme/contacts/1#x", "/operations"])
def test_a_login_leads_to_the_page_that_was_asked_for(asked: str) -> None:
    assert own_path(asked) == asked
