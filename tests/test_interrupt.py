"""Signals that ask work to stop at a safe point."""

import signal
import threading

import pytest

from qnn.interrupt import stoppable


def send(number=signal.SIGINT):
    signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_asks(number):
    with stoppable() as asked:
        assert not asked()
        send(number)
        assert asked()


def test_the_second_ctrl_c_stops_at_once():
    with stoppable() as asked:
        send()
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            send()


def test_a_launchers_sigterm_is_no_second_ctrl_c():
    with stoppable() as asked:
        send()
        send(signal.SIGTERM)
        assert asked()


def test_handlers_are_those_of_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable(), stoppable() as asked:
        send()
        assert asked()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with stoppable() as asked:
        assert not asked()  # what was asked of other work does not count


def test_work_that_saves_nothing_ends_as_ever():
    with pytest.raises(KeyboardInterrupt), stoppable(False):
        send()


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as asked:
            send()
            assert not asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_is_never_asked():
    found = []

    def work():
        with stoppable() as asked:
            found.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
