"""Dead letters: what no worker could read. An operator looks at one, replays or dismisses it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console import replaying
from console.pages import raw_bytes
from console.pages.page import Notice, PageRequest, PageRoute
from console.parts import Parts
from console.reading import operations
from console.reading.operations import LetterFilter
from console.reading.paging import DEFAULT
from console.replaying import Settled
from console.texts import text
from schemas.checking import DECODERS, judged
from workers.rules.letters import why_not_replayed

STATUSES: Final = ("new", "replayed", "dismissed")
_PATH: Final = "/dead-letters"
_SETTLE: Final[Mapping[str, Callable[[Parts, int], Awaitable[Settled | None]]]] = {
    "replay": replaying.replay,
    "dismiss": replaying.dismiss,
}
_LARGEST_ID: Final = 2**63 - 1
_LONGEST_ID: Final = 20  # Python refuses to read numbers of very many digits


async def shown(page: PageRequest) -> Response:
    """Dead letters, the newest on top; without a filter those that wait for a decision."""
    status = page.request.query_params.get("status", STATUSES[0])
    wanted = LetterFilter(page.query("topic"), status or None, page.query("error"))
    chosen = {"topic": wanted.topic or "", "status": status, "error": wanted.error or ""}
    async with page.parts.postgres.snapshot() as connection:
        letters = await operations.dead_letters(connection, wanted, DEFAULT, page.query("cursor"))
        return await page.render(
            connection,
            "operations",
            template="dead_letters",
            letters=letters,
            wanted=wanted,
            chosen=chosen,
            topics=sorted(DECODERS),
            statuses=STATUSES,
            next_page=page.operations(_PATH, **chosen, cursor=letters.next) if letters.next else None,
        )


async def one(page: PageRequest) -> Response:
    """A dead letter, byte for byte, and what it would be now."""
    async with page.parts.postgres.snapshot() as connection:
        letter = await operations.dead_letter(connection, _id(page.path("letter")))
        if letter is None:
            raise HTTPException(404)
        refusal = why_not_replayed(letter["error"], letter["value"], is_erased=letter["erased_at"] is not None)
        judgement = None
        if refusal is None and letter["source_topic"] in DECODERS:
            judgement = judged(letter["source_topic"], letter["value"])
        return await page.render(
            connection,
            "operations",
            template="dead_letter",
            letter=letter,
            refusal=refusal,
            judgement=judgement,
            key=_shown(letter["key"]),
            value=_shown(letter["value"]),
            headers=[(name, _shown(value)) for name, value in letter["headers"]],
        )


async def settle(page: PageRequest) -> Response:
    """Replays or dismisses the letters that were chosen."""
    act = str(page.form.get("act"))
    if act not in _SETTLE:
        raise HTTPException(400)
    ids = [_id(str(value)) for value in page.form.getlist("letter")]
    back = page.operations(_PATH)
    if not ids:
        return page.led_to(back, Notice("failed", text("letters.none_chosen")))
    settled = [done for id_ in ids if (done := await _SETTLE[act](page.parts, id_)) is not None]
    return page.led_to(back, _told(settled))


def _told(settled: Sequence[Settled]) -> Notice:
    """What became of the letters: how many were settled, and why others were not."""
    outcomes = Counter(one.outcome for one in settled)
    done = [text(f"letters.{name}", outcomes[name]) for name in ("replayed", "dismissed") if outcomes[name]]
    reasons = Counter(one.reason or "" for one in settled if one.outcome == "unchanged")
    left = [text("letters.unchanged", count, reason=reason) for reason, count in reasons.items()]
    if not done and not left:
        return Notice("failed", text("letters.gone"))
    return Notice("failed" if left else "done", " ".join([*done, *left]))


def _shown(raw: bytes | None) -> raw_bytes.Shown | None:
    return None if raw is None else raw_bytes.shown(raw)


def _id(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < _LONGEST_ID) or int(value) > _LARGEST_ID:
        raise HTTPException(404)
    return int(value)


PAGES: Final = (
    PageRoute("operations/dead-letters", shown),
    PageRoute("operations/dead-letters", settle, "POST"),
    PageRoute("operations/dead-letters/{letter}", one),
)
