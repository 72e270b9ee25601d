import os
import signal
import weakref

import pytest

from alphapanda.cli.interrupts import remembered


class Kept:
    pass


def struck_in_a_callback():
    """Where Python prints a KeyboardInterrupt and drops it."""
    kept = Kept()
    watched = weakref.ref(kept, lambda _: os.kill(os.getpid(), signal.SIGINT))
    del kept
    return watched


def test_an_interrupt_within_a_callback_of_pythons_own_is_not_lost():
    with remembered() as check:
        check()
        struck_in_a_callback()
        with pytest.raises(KeyboardInterrupt):
            check()


def test_what_heard_ctrl_c_before_hears_it_again_after():
    before = signal.getsignal(signal.SIGINT)
    with remembered():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
