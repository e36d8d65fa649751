"""Last-write-wins values."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.last_write_wins import Flag, LastWrite, WriteStamp

START = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(minute: int, by: int) -> WriteStamp:
    return WriteStamp(START + timedelta(minutes=minute), UUID(int=by))


writes = st.dictionaries(
    st.builds(stamp, st.integers(0, 3), st.integers(1, 3)), st.text(max_size=2), min_size=1, max_size=4
)


@given(writes)
def test_the_later_write_wins_in_whatever_order_they_arrive(written: dict[WriteStamp, str]) -> None:
    latest = max(written)
    for order in permutations(written):
        register: LastWrite[str | None] = LastWrite(None)
        for at in order:
            register = register.write(written[at], at)
        assert register == LastWrite(written[latest], latest)


def test_equal_times_are_told_apart_by_the_command() -> None:
    assert stamp(1, 2).beats(stamp(1, 1))
    assert not stamp(1, 1).beats(stamp(1, 2))


def test_writing_the_same_value_again_holds_against_an_older_write_under_way() -> None:
    register = LastWrite("gold").write("gold", stamp(9, 1))
    assert register.write("silver", stamp(5, 2)).value == "gold"


def test_a_protection_began_when_it_was_switched_on_and_not_when_that_was_repeated() -> None:
    flag = Flag().switch(on=True, stamp=stamp(1, 1)).switch(on=True, stamp=stamp(5, 2))
    assert (flag.on, flag.since) == (True, stamp(1, 1).at)


def test_a_protection_switched_off_and_on_begins_anew() -> None:
    flag = Flag().switch(on=True, stamp=stamp(1, 1)).switch(on=False, stamp=stamp(2, 2))
    assert (flag.on, flag.since) == (False, None)
    assert flag.switch(on=True, stamp=stamp(3, 3)).since == stamp(3, 3).at
