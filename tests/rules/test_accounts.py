"""Which account a workspace belongs to."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.rules.accounts import accounts_of

REFUSED = [
    ("", "one table [accounts]"),
    ("accounts = 1", "one table [accounts]"),
    ('[accounts]\na = ["w"]\n[account]\nb = ["v"]', "one table [accounts]"),
    ('[accounts]\na = "w"', "account 'a': expected a list"),
    ("[accounts]\na = [1]", "account 'a': 1 is no workspace id"),
    ('[accounts]\na = ["w 1"]', "account 'a': 'w 1' is no workspace id"),
    ('[accounts]\na = ["w\\n"]', "is no workspace id"),
    ('[accounts]\n"" = ["w"]', "'': the name of an account is a text of 1 to 128"),
    ('[accounts]\n"a\\u0000" = ["w"]', "the name of an account"),
    ('[accounts]\n"a " = ["w"]', "the name of an account"),
    ('[accounts]\na = ["v", "w"]\nb = ["w"]', "workspace 'w' belongs to two accounts, 'a' and 'b'"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_is_wrong_with_a_file_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - its text is compared
        accounts_of(tomllib.loads(text))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(
    st.dictionaries(
        st.text("aZ09_.-", min_size=1, max_size=64),
        st.text("ab é-ß京", min_size=1, max_size=5).map(str.strip).filter(bool),
    )
)
def test_every_workspace_has_the_account_that_lists_it(account_of: dict[str, str]) -> None:
    lists: dict[str, list[str]] = {}
    for workspace_id, account in account_of.items():
        lists.setdefault(account, []).append(workspace_id)
    assert accounts_of({"accounts": lists}) == account_of
    assert accounts_of({"accounts": {name: 2 * listed for name, listed in lists.items()}}) == account_of
