"""What a worker starts ends with it, however it ends."""

import os
import subprocess

# A shell, which is small: it ends the group when the other side of its input closes.
GUARD = "read nothing; kill -KILL -{group}"


def guard_group() -> None:
    """Let all processes of this one's group end when this process has ended, also by SIGKILL.

    The process becomes the first of a group of its own, in which simulators and compilers are that
    it starts later. The guard is outside of the group.
    """
    # Who leads a session, or was given a group by Ray, is the first of it already.
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    read, _held = os.pipe()
    # Never closed here: the kernel closes it in the moment in which this process ends, and not
    # Python a little earlier, when the guard would still meet this process.
    with open(read) as nothing:
        guard = subprocess.Popen(
            ["sh", "-c", GUARD.format(group=os.getpid())],
            stdin=nothing,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    # It outlives this process, which is no oversight to warn of.
    guard.returncode = 0
