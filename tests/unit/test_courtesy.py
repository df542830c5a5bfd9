"""Courtesy: what a thread that computes for seconds changes for the others, and puts back."""

from __future__ import annotations

import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenworker.accounts.courtesy import courtesy

USUAL = sys.getswitchinterval()


def is_usual() -> bool:
    return sys.getswitchinterval() == USUAL and gc.isenabled()


def test_others_have_their_turns_soon_and_no_garbage_is_collected() -> None:
    with courtesy():
        assert sys.getswitchinterval() < USUAL / 10
        assert not gc.isenabled()
    assert is_usual()


def test_all_is_as_before_also_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), courtesy():
        raise ZeroDivisionError
    assert is_usual()


def test_who_collects_no_garbage_goes_on_so() -> None:
    gc.disable()
    try:
        with courtesy():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_of_several_threads_puts_it_back() -> None:
    inside, first_left = threading.Barrier(2), threading.Event()

    def first() -> None:
        with courtesy():
            inside.wait()
        first_left.set()

    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(first)
        with courtesy():
            inside.wait()
            first_left.wait(5)
            assert not is_usual()
        thread.result()
    assert is_usual()


def test_a_fork_in_the_middle_of_it_begins_as_usual() -> None:
    with courtesy():
        child = os.fork()
        if not child:
            usual = is_usual()
            with courtesy():
                pass
            os._exit(0 if usual and is_usual() else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert is_usual()
