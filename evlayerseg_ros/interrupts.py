"""Ctrl-C in a command: one line and status 130, at whatever moment it comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 130
SENTENCE = "\nevlayerseg: interrupted."

_PATIENCE = 1.0  # s that an import is waited for
_AGAIN = 0.02  # s until we look again whether it is over


def is_interrupt(error: BaseException) -> bool:
    """Whether this is Ctrl-C, as it is or in the SystemErrors that numba makes of it.

    Numba does so where Ctrl-C comes while a compiled function is loaded.
    """
    cause: BaseException | None = error
    while isinstance(cause, SystemError):
        cause = cause.__cause__ or cause.__context__
    return isinstance(cause, KeyboardInterrupt)


@contextmanager
def none_in_imports() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, but not inside an import.

    There it would leave locks, come out as an ImportError or abort the process. It waits until the
    import is over; where that takes long the process ends at once. A handler that somebody has set
    before, or the shell of a process in the background, stays.
    """
    since = 0.0  # when Ctrl-C came, if it waits
    again = threading.Timer(0, _interrupt_main)

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal since, again
        now = time.monotonic()
        if not _in_import(frame):
            since = 0.0
            raise KeyboardInterrupt
        since = since or now
        if now - since > _PATIENCE:
            os.write(2, f"{SENTENCE}\n".encode())
            os._exit(STATUS)
        again = threading.Timer(_AGAIN, _interrupt_main)
        again.daemon = True
        again.start()

    main = threading.current_thread() is threading.main_thread()  # others can set no handler
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        again.cancel()
        signal.signal(signal.SIGINT, before)
    if since:
        raise KeyboardInterrupt


def _interrupt_main() -> None:
    """Sends the signal anew, so that it also ends a call that waits."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _in_import(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def end() -> None:
    """Ends the process as Ctrl-C ends every command."""
    print(SENTENCE, file=sys.stderr)
    sys.exit(STATUS)
