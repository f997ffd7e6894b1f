"""What the tests' workers do: functions of a module, as workers import them."""

import ctypes
import os
import signal
import subprocess
import time
import warnings
from pathlib import Path

from qnn.errors import ModelError, QnnWarning
from qnn.interrupt import Interrupted, stoppable


def halved(number):
    """Half of an even number; odd ones are refused, and negative ones are an error."""
    if number % 2:
        raise ModelError(f"{number} is odd\nand cannot be halved")
    if number < 0:
        raise ValueError(f"{number}\nis negative")
    return number // 2


def scaled(factor, number):
    return factor * number


def process(_item):
    return os.getpid()


def ended(how):
    """End the worker in a way of its own."""
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "left":
        os._exit(3)
    if how == "exit":
        raise SystemExit(4)
    return how


def once(folder, item):
    """End the worker at the first try of each item that is divisible by three."""
    mark = Path(folder) / f"{item}"
    if item % 3 == 0 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def with_child(folder, how):
    """Start a program that outlasts the item, note it and this process, and end as told."""
    child = subprocess.Popen(["sleep", "600"])
    note(Path(folder) / f"{how}", f"{os.getpid()} {child.pid}")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "waits":
        time.sleep(600)
    return child.pid


def saved(folder, name):
    """Wait until asked to stop, then save."""
    with stoppable() as asked:
        note(Path(folder) / f"{name}.began", str(os.getpid()))
        while not asked():
            time.sleep(0.01)
    note(Path(folder) / f"{name}.saved", "whole")
    raise Interrupted("saved")


def note(path, text):
    """A file that is there with all of its text, or not at all."""
    beside = path.with_suffix(".part")
    beside.write_text(text)
    beside.rename(path)


def slept(seconds):
    time.sleep(seconds)
    return seconds


def warned(text):
    warnings.warn(text, QnnWarning, stacklevel=1)
    warnings.warn("of somebody else", UserWarning, stacklevel=1)
    return text


def unsendable(_item):
    return lambda: None


def settings(_item):
    return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


class Unreadable:
    """Can be written, and not read."""

    def __reduce__(self):
        return refuse, ()


def refuse():
    raise ValueError("not to be read")


def unreadable(_item):
    return Unreadable()


def on_cluster(folder, item):
    """Note item and process, work for a while; gives the square and the machine of the cluster."""
    import ray

    child = subprocess.Popen(["sleep", "600"])
    note(Path(folder) / f"{item}-{os.getpid()}", str(child.pid))
    time.sleep(0.5)
    child.kill()
    child.wait()
    return item * item, ray.get_runtime_context().get_node_id()
