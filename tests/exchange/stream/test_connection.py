"""What waits for a peer that reads slowly, or not at all."""

from alphapanda.exchange.stream.connection import (
    FULL_HOUSE,
    MANY_BYTES,
    MOST_BYTES,
    MOST_FRAMES,
    MOST_TEXTS,
    Connection,
    Ending,
)


def connection():
    return Connection(1, "key", "token")


def test_of_ticks_the_newest_are_kept_and_of_texts_all():
    one = connection()
    for number in range(MOST_FRAMES + 10):
        one.show(number.to_bytes(4, "big"))
        one.say(str(number))
    frames = [item for item in one.outbox if isinstance(item, bytes)]
    assert [int.from_bytes(frame, "big") for frame in frames] == list(range(10, MOST_FRAMES + 10))
    assert [item for item in one.outbox if isinstance(item, str)] == [
        str(number) for number in range(MOST_FRAMES + 10)
    ]
    assert one.dropped == 10


def test_large_frames_are_bounded_by_their_bytes_but_the_newest_always_waits():
    one = connection()
    half = MOST_BYTES // 2
    for number in range(4):
        one.show(bytes([number]) * half)
    assert [item[0] for item in one.outbox] == [2, 3]
    one.show(b"x" * (MOST_BYTES + 1))
    assert [item[:1] for item in one.outbox] == [b"x"]
    assert one.dropped == 4


def test_it_leaves_in_the_order_it_came():
    one = connection()
    one.say("first")
    one.show(b"second")
    one.say("third")
    assert [one.take(), one.take(), one.take(), one.take()] == ["first", b"second", "third", None]


def test_whoever_sends_is_woken_by_what_comes_and_by_the_end():
    woken = []
    one = connection()
    one.wake = lambda: woken.append(len(one.outbox))
    one.say("text")
    one.show(b"frame")
    one.end(Ending("close", 1000))
    assert woken == [1, 2, 2]


def test_after_its_end_nothing_is_taken_in_and_what_waits_still_goes_out():
    one = connection()
    one.show(b"last")
    one.end(Ending("close", 1001, "bye"))
    one.say("too late")
    one.show(b"too late")
    one.end(Ending("reset"))
    assert one.take() == b"last"
    assert one.take() is None
    assert one.ending == Ending("close", 1001, "bye")
    assert one.heartbeat() is None


def test_a_reset_leaves_nothing_to_send():
    one = connection()
    one.show(b"last")
    one.end(Ending("reset"))
    assert one.take() is None


def test_silence_keeps_heartbeats_and_muteness_does_not_and_both_can_end():
    one = connection()
    one.show(b"lost")
    one.fall("silent")
    one.say("lost")
    assert one.take() is None
    assert (one.heartbeat(), one.answers) == (b"\x00", True)
    one.fall("mute")
    one.show(b"lost")
    assert (one.take(), one.heartbeat(), one.answers) == (None, None, False)
    one.fall("")
    one.say("heard")
    assert one.take() == "heard"


def test_it_is_behind_with_a_full_house_unless_nobody_reads_at_all():
    one = connection()
    for _ in range(FULL_HOUSE):
        assert not one.behind
        one.show(b"frame")
    assert one.behind
    one.stalled = True
    assert not one.behind


def test_a_few_large_frames_make_a_full_house():
    one = connection()
    one.show(bytes(MANY_BYTES - 1))
    assert not one.behind
    one.say("x")
    assert one.behind


def test_it_chokes_on_order_updates_alone():
    one = connection()
    for number in range(MOST_TEXTS):
        one.say(str(number))
    one.show(b"frame")
    assert not one.choked
    one.say("one more")
    assert one.choked
