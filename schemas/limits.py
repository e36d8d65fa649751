"""The bounds of everything that travels. Lengths of text are in characters, sizes in bytes."""

from typing import Final

MAX_VALUE_BYTES: Final = 262_144
MAX_DEPTH: Final = 32
MAX_EXTRA_BYTES: Final = 8_192
MAX_DEAD_LETTER_BYTES: Final = 524_288
MAX_KEY_BYTES: Final = 65_536
MAX_HEADERS_BYTES: Final = 65_536
"""Of keys and of headers, names and values together, as far as outputs carry them: Kafka bounds them only together."""

WORKSPACE_ID: Final = 64
ID: Final = 128
PROVIDER_MESSAGE_ID: Final = 512
ADDRESS: Final = 320
NAME: Final = 512
LABEL: Final = 128
URL: Final = 8_192
MIME_TYPE: Final = 255
LANGUAGE: Final = 64
TEXT: Final = MAX_VALUE_BYTES

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998

MAX_COUNT: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""
