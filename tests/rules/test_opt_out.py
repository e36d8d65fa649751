"""Contract 3.7: opt-out words."""

import pytest

from workers.rules.opt_out import START_WORDS, STOP_WORDS, opted_out_by


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_every_stop_word_opts_out_in_any_case_and_trimmed(word: str) -> None:
    for text in (word, word.lower(), f"  {word.title()}.\n", f"{word}!"):
        assert opted_out_by("sms", "message", text) is True


@pytest.mark.parametrize("word", sorted(START_WORDS))
def test_start_words_opt_in(word: str) -> None:
    assert opted_out_by("whatsapp", "message", f"{word.lower()}! ") is False


@pytest.mark.parametrize("text", ["please stop", "STOP it", "STOP..", "STOP?", "", None, "S T O P", "x" * 100_000])
def test_other_texts_say_nothing(text: str | None) -> None:
    assert opted_out_by("sms", "message", text) is None


@pytest.mark.parametrize(("channel", "kind"), [("email", "message"), ("sms", "reaction"), ("whatsapp", "echo")])
def test_only_messages_on_sms_and_whatsapp_count(channel: str, kind: str) -> None:
    assert opted_out_by(channel, kind, "STOP") is None
