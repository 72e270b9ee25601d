"""What clients say, read and misread."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.exchange.stream.messages import MessageError, packet_size, read

SHARE, INDEX = 408065, 256265


def test_the_three_messages_are_read():
    assert read('{"a": "subscribe", "v": [408065, 884737]}').tokens == (408065, 884737)
    assert read('{"a": "unsubscribe", "v": [408065]}').action == "unsubscribe"
    mode = read('{"a": "mode", "v": ["full", [408065]]}')
    assert (mode.action, mode.mode, mode.tokens) == ("mode", "full", (408065,))


def test_only_whole_numbers_are_tokens_and_each_counts_once():
    message = read('{"a": "subscribe", "v": [408065, "884737", 408065, 1.5, true, null, [1], {}]}')
    assert message.tokens == (408065,)
    assert message.odd == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ('{"a": "subscribe", "v": [1]', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": "\ud800"}', "not JSON"),
        ("[]", "`a` has to be"),
        ("17", "`a` has to be"),
        ('{"v": [408065]}', "`a` has to be"),
        ('{"a": "resubscribe", "v": [408065]}', "`a` has to be"),
        ('{"a": ["subscribe"], "v": [408065]}', "`a` has to be"),
        ('{"a": "subscribe"}', "`v` has to be a list"),
        ('{"a": "subscribe", "v": 408065}', "`v` has to be a list"),
        ('{"a": "unsubscribe", "v": "408065"}', "`v` has to be a list"),
        ('{"a": "mode", "v": [408065]}', "`v` has to be [mode"),
        ('{"a": "mode", "v": "full"}', "`v` has to be [mode"),
        ('{"a": "mode", "v": ["deep", [408065]]}', "Invalid mode"),
        ('{"a": "mode", "v": [["full"], [408065]]}', "Invalid mode"),
        ('{"a": "mode", "v": ["full", 408065]}', "`v` has to be a list"),
    ],
)
def test_what_is_no_message_is_refused_in_words(text, words):
    with pytest.raises(MessageError) as refused:
        read(text)
    assert words in str(refused.value)


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["a", "v", "x"]), each),
    ).map(json.dumps)
)
def test_no_text_does_more_than_be_refused(text):
    try:
        message = read(text)
    except MessageError:
        return
    assert message.action in ("subscribe", "unsubscribe", "mode")


@pytest.mark.parametrize(("mode", "share", "index"), [("ltp", 8, 8), ("quote", 44, 28), ("full", 184, 32)])
def test_a_packet_is_as_long_as_its_mode_and_kind_say(mode, share, index):
    assert packet_size(SHARE, mode) == share
    assert packet_size(INDEX, mode) == index
