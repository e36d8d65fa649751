"""The limits of everything that travels. Lengths of text are in characters, sizes in bytes."""

from typing import Final

MAX_VALUE_BYTES: Final = 262_144
MAX_DEPTH: Final = 32
MAX_EXTRA_BYTES: Final = 8_192
MAX_DEAD_LETTER_BYTES: Final = 524_288
MAX_KEY_BYTES: Final = 65_536
MAX_HEADERS_BYTES: Final = 65_536
"""Limit for the key and for the headers, names and values together, of outputs: Kafka limits only their sum."""

ID: Final = 128
PROVIDER_MESSAGE_ID: Final = 512
ADDRESS: Final = 320
NAME: Final = 512
LABEL: Final = 128
URL: Final = 8_192
LANGUAGE: Final = 64
TEXT: Final = MAX_VALUE_BYTES

FIRST_YEAR: Final = 2000
MAX_YEAR: Final = 9998
"""Limit for times in a record; a Kafka timestamp may be as old as 1970."""

CHANNELS_PER_WORKSPACE: Final = 10_000
"""Of one workspace."""

CONTACTS_PER_PROFILE: Final = 10_000
NOTES_PER_PROFILE: Final = 1_000
FIELDS_PER_PROFILE: Final = 200
"""Custom fields that have a value."""
NOTE: Final = 10_000

MAX_COUNT: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""

FIELDS_PER_SCOPE: Final = 200
"""Custom fields of one workspace for contacts, and as many for profiles."""
OPTIONS_PER_FIELD: Final = 500
CUSTOM_TEXT: Final = 4_096
CUSTOM_URL: Final = 2_048
CUSTOM_BYTES: Final = 131_072
"""All custom fields of one contact together, as JSON."""
TAGS_PER_CONTACT: Final = 200
TAGS_PER_WORKSPACE: Final = 10_000
