"""Every page and every call that reads, with values of the data: what is new in the console is measured by itself."""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from benchmarks.reading.asking import Place
from console.api import CALLS
from console.pages import PAGES

_NOT_MEASURED: Final = ("events", ".csv", "results/{command_id}")
_PATHS: Final[dict[str, Callable[[Place, int], object]]] = {
    "contact_id": Place.contact,
    "profile_id": Place.profile,
    "send_id": Place.send,
    "cycle_start": lambda place, _n: f"{place.cycle():%Y-%m-%dT%H:%M:%SZ}",
    "workspace": lambda place, _n: place.workspace,
}
_QUERIES: Final[dict[str, Callable[[Place, int], dict[str, object]]]] = {
    "conversations": lambda place, n: {"q": place.number(n)},
    "contacts": lambda place, n: {"q": place.number(n)},
    "profiles": lambda _place, _n: {"q": "ad"},
    "/workspaces/{workspace}/contacts": lambda place, n: {"q": place.number(n)},
    "/workspaces/{workspace}/profiles": lambda _place, _n: {"q": "ad"},
    "/workspaces/{workspace}/may-send": lambda place, n: {"contact_id": place.contact(n), "channel": "whatsapp"},
    "/workspaces/{workspace}/impact": lambda place, n: {"command": "block_contact", "contact_id": place.contact(n)},
}


class Asked(NamedTuple):
    """What is asked: its name, and the address of the n-th time."""

    name: str
    address: Callable[[Place, int], str]


def asked() -> Iterator[Asked]:
    """Pages, then calls; those that search also with a query."""
    for page in PAGES:
        if page.method == "GET" and not page.path.endswith(_NOT_MEASURED):
            yield from _variants(page.path, f"/w/{{workspace}}/{page.path}")
    for call in CALLS:
        if call.method == "GET" and not call.path.endswith(_NOT_MEASURED):
            yield from _variants(call.path, f"/api/v1{call.path}")


def _variants(path: str, template: str) -> Iterator[Asked]:
    names = [name.partition(":")[0] for name in re.findall(r"{(.*?)}", template)]
    if not set(names) <= _PATHS.keys():
        return  # nothing of the data has such a name
    queried = _QUERIES.get(path)
    if queried is None or path.endswith(("contacts", "profiles", "conversations")):
        yield Asked(template, lambda place, n: _filled(template, place, n))
    if queried is not None:
        yield Asked(f"{template}?", lambda place, n: f"{_filled(template, place, n)}?{urlencode(queried(place, n))}")


def _filled(template: str, place: Place, n: int) -> str:
    return re.sub(r"{(.*?)}", lambda found: quote(str(_PATHS[found[1].partition(":")[0]](place, n)), safe=""), template)
