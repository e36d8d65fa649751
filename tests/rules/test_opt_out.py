"""Contract 3.7: opt-out words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.rules.opt_out import START_WORDS, STOP_WORDS, opted_out_by

BESIDE = [*" \t\n\u3000\xa0.,;:!?-_/*#@'\"«»“”„‚()[]~…。！、｡", "🙏", "👍🏽", "👨‍👩‍👧", "🇫🇷", "❤️", "™", "€"]
INVISIBLE = [*"\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\ufeff\xad\ufe0f\u034f\u3164\u115f\u2800\U000e0041"]


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_every_stop_word_opts_out_in_any_case_and_trimmed(word: str) -> None:
    for text in (word, word.lower(), f"  {word.title()}.\n", f"{word}!"):
        assert opted_out_by("sms", "message", text) is True


@pytest.mark.parametrize("word", sorted(START_WORDS))
def test_start_words_opt_in(word: str) -> None:
    assert opted_out_by("whatsapp", "message", f"{word.lower()}! ") is False


@pytest.mark.parametrize(
    "text",
    [
        "ARRÊT",
        "Arre\u0302t",
        "opt out",
        "Opt-Out",
        "STOP ALL",
        '"stop"!!',
        "„Stop“",
        "« Arrêt »",
        "(cancel)",
        "STOP\u200e",
        "\u202aSTOP\u202c",
        "STOP 🙏",
        "🛑 STOP 🛑",
        "STOP。",
        "STOP?",
        "S.T.O.P.",
        "s t o p",
        "*STOP*",
        "STOP" + "\n" * 500,
        "🙏" * 500 + "STOP",
        "ＳＴＯＰ",
        "ｕｎｓｕｂｓｃｒｉｂｅ！",
        "stóp",
        "𝐒𝐓𝐎𝐏",
    ],
)
def test_what_people_type_opts_out(text: str) -> None:
    assert opted_out_by("sms", "message", text) is True


@pytest.mark.parametrize("text", ["Start!!", '"UNSTOP"', "un stop 🙏", "ＳＴＡＲＴ", "stàrt"])
def test_what_people_type_opts_in(text: str) -> None:
    assert opted_out_by("whatsapp", "message", text) is False


@given(
    st.sampled_from(sorted(STOP_WORDS | START_WORDS)),
    st.lists(st.lists(st.sampled_from([*BESIDE, *INVISIBLE]), max_size=4), min_size=12, max_size=12),
)
def test_nothing_beside_the_letters_makes_a_difference(word: str, beside: list[list[str]]) -> None:
    gaps = ["".join(gap) for gap in beside]
    text = gaps[0] + "".join(letter + gap for letter, gap in zip(word.lower(), gaps[1:], strict=False))

    assert opted_out_by("sms", "message", text) is (word in STOP_WORDS)


PLAIN = st.characters(categories=["L", "N"], exclude_characters="\u115f\u1160").filter(
    lambda letter: unicodedata.is_normalized("NFKD", letter)
)


@given(
    st.sampled_from(sorted(STOP_WORDS | START_WORDS)),
    st.text(PLAIN, min_size=1),
    st.sampled_from(["{0} {1}", "{1} {0}"]),
)
def test_a_word_inside_a_longer_text_never_does(word: str, other: str, order: str) -> None:
    text = order.format(word, other)
    if text.replace(" ", "").upper() not in STOP_WORDS | START_WORDS:
        assert opted_out_by("sms", "message", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "please stop",
        "STOP it",
        "Stop. Thank you",
        "STOP 12345",
        "STOP1",
        "STOP STOP",
        "don't stop",
        "the end",
        "стор",  # Cyrillic letters that look like ours
        "SТOP",  # one of them
        "STΟP",  # a Greek one
        "停止",
        "",
        None,
        " ",
        "!!!",
        "🙏",
        "\u3164",
        "Please stop this terrible bill!",
        "x" * 100_000,
        "🙏" * 100_000,
    ],
)
def test_other_texts_say_nothing(text: str | None) -> None:
    assert opted_out_by("sms", "message", text) is None


@pytest.mark.parametrize(("channel", "kind"), [("email", "message"), ("sms", "reaction"), ("whatsapp", "echo")])
def test_only_messages_on_sms_and_whatsapp_count(channel: str, kind: str) -> None:
    assert opted_out_by(channel, kind, "STOP") is None
