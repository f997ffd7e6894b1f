"""The exit codes of every command, which tell a CI a wrong result from a wrong input."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended.

    Members
    -------
    MISMATCH : values differ from the reference, or a project has findings
    USAGE : the command line alone shows that it is wrong
    REFUSAL : what the command line names is rejected, a tool is missing, or qnn itself failed
    INTERRUPTED : by Ctrl-C; 128 + SIGINT, as shells count. Not of a server, which has no other end
    PIPE : the reader of the output has left; 128 + SIGPIPE, as shells count
    """

    # 0 and 2 are what shells and click have for these.
    SUCCESS = 0
    MISMATCH = 1  # what a CI takes for a failed test
    USAGE = 2  # as most parsers of command lines have it
    REFUSAL = 3
    INTERRUPTED = 130  # shells then stop a loop of commands, too
    PIPE = 141


SUMMARY = (
    "Exit codes: 0 success, 1 a mismatch, 2 wrong usage, 3 a refusal (a rejected input, a missing "
    "tool), 130 interrupted."
)
