"""Forms: their fields, and the token that only the pages of a session have."""

import hmac
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

_FIELDS: Final = 1_000


def csrf_of(session: str) -> str:
    """The token of the forms of a session: only who has the cookie can compute it."""
    return hmac.digest(session.encode(), b"csrf", "sha256").hex()


def is_form_of(session: str, form: FormData) -> bool:
    """Whether the form is of a page of this session."""
    # Of bytes, because texts that are not ASCII cannot be compared in constant time.
    return bool(session) and hmac.compare_digest(str(form.get("csrf", "")).encode(), csrf_of(session).encode())


async def form_of(request: Request) -> FormData:
    """The fields of a form, URL-encoded.

    Raises:
        HTTPException: 400 or 413, it is no such form.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(400)
    try:
        body = (await request.body()).decode("ascii")
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400) from None
    if any("\0" in value for _, value in fields):
        raise HTTPException(400)  # no text of PostgreSQL has it
    return FormData([*fields])
