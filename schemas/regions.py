"""Regions of telephone numbers by their codes, as the numbering data knows them.

ISO 3166-1 and a few besides (`XK` Kosovo, `AC` Ascension): not every code of a country is one, and `UK` is none.
"""

from typing import Final

import phonenumbers

REGIONS: Final[frozenset[str]] = frozenset(phonenumbers.SUPPORTED_REGIONS)


def require_region(region: object) -> None:
    """Raises ValueError if the text is no region."""
    if isinstance(region, str) and region not in REGIONS:
        raise ValueError("Expected `default_region` to be a region that the numbering data knows, such as `GB`")
