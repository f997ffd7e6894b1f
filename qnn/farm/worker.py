"""The process of one worker: ``python -m qnn.farm.worker DESCRIPTOR``, of a socket to the farm."""

import gc
import os
import select
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from qnn.farm.group import guard_group
from qnn.farm.order import Workplace

# After the farm has gone, for work that saves at its next step; then it is ended.
SAFE_SECONDS = 10.0


def main(descriptor: int) -> None:
    """Carry out items until the farm closes its end of the socket, or is gone."""
    # What items start must not hold the socket open.
    os.set_inheritable(descriptor, False)
    guard_group()
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_farm, args=(descriptor,), daemon=True).start()
    connection, workplace = Connection(descriptor), Workplace()
    try:
        connection.send_bytes(b"")  # ready
        while True:
            key, function, item = connection.recv()
            workplace.learn(key, function)
            connection.send_bytes(workplace.carry_out(item))
    # The farm has no more items, or has gone; an interruption is what it asked for then.
    except (EOFError, OSError, KeyboardInterrupt):
        pass
    finally:
        # It ends by itself now: the watch must not disturb what is done at the end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Nor does anybody need what Python would search for garbage in, all of torch, for seconds.
        gc.freeze()


def _leave(*_):
    # As Ctrl-C does: folders of temporary files are removed on the way. Libraries that leave by
    # SystemExit have callers that go on after it.
    raise KeyboardInterrupt


def _end_with_farm(descriptor):
    """Ask for the end when the other side of the socket closes, and enforce it a while later."""
    watch = select.poll()
    watch.register(descriptor, 0)  # nothing but the other side's end wakes it
    watch.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SAFE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
