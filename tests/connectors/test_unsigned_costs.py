"""What nobody has signed costs little time, however it is made: whoever knows an address may send it."""

import time
from typing import Final

import pytest

from connectors.provider import MAX_BODY, Webhook
from connectors.providers import PROVIDERS
from tests.connectors.test_vectors import NOW
from tests.connectors.vectors import channel_of

MOST_S: Final = 1.0
"""Of the processor, on a slow machine: each of these took several seconds before, or far less than this."""
FORM: Final = "application/x-www-form-urlencoded"
PARTS: Final = "multipart/form-data; boundary="
BODIES: Final = {
    "escapes": (FORM, b"timestamp=", b"%41"),
    "escapes that are none": (FORM, b"token=", b"%"),
    "pluses": (FORM, b"signature=", b"+"),
    "fields": (FORM, b"", b"a=1&"),
    "fields with the same name": (FORM, b"", b"token=1&"),
    "parts": (f"{PARTS}x", b"", b"--x\r\n\r\n\r\n"),
    "dashes": (f"{PARTS}-", b"", b"-"),
    "line ends": (f"{PARTS}x", b"", b"\r\n"),
    "a long boundary": (PARTS + "x" * 60_000, b"", b"x"),
    "parameters": ("multipart/form-data" + ";a=b" * 15_000, b"", b"x"),
    "quotes": (PARTS + '"' + '\\"' * 30_000, b"", b"x"),
    "a header without end": (f"{PARTS}x", b'--x\r\nContent-Disposition: form-data; name="', b"a;"),
    "lists": ("application/json", b"", b"["),
    "objects": ("application/json", b"", b'{"signature":'),
    "a number": ("application/json", b'{"signature":', b"9"),
}


@pytest.mark.parametrize("name", sorted(PROVIDERS))
@pytest.mark.parametrize("what", BODIES)
def test_what_nobody_has_signed_costs_little(name: str, what: str) -> None:
    channel, (content_type, begins, piece) = channel_of(name), BODIES[what]
    largest = min(channel.provider.max_body, 5 * MAX_BODY)
    body = (begins + piece * (largest // len(piece)))[:largest]
    headers = dict.fromkeys(
        ("x-hub-signature-256", "x-twilio-signature", "x-line-signature", "x-viber-content-signature"), "x" * 10_000
    )
    headers |= {"content-type": content_type, "x-sluice-signature": "t=1," + "v1=a," * 10_000}
    webhook = Webhook("POST", "a=1&" * 15_000, headers, body)
    began = time.process_time()

    assert not channel.provider.verify(channel, webhook, NOW)
    assert time.process_time() - began < MOST_S
