"""What is said to a user in one line: who, what it needs, what it got, what to do."""


class QnnError(Exception):
    """A refusal; the command line prints it without a stack trace and exits with 3.

    Members
    -------
    kind : the word for the error in the JSON that ``--json`` prints
    """

    # Of the class and not of an instance: programs depend on it, so no raiser chooses its own.
    kind = "refusal"


class ArgumentError(QnnError, ValueError):
    """An argument of a function that is none of the values that there are."""

    kind = "argument"


class ModelError(QnnError):
    """A model or its data that cannot be quantized."""

    kind = "model"


class CompileError(QnnError):
    """A graph that does not fit the accelerator."""

    kind = "compile"


class DeviceError(QnnError):
    """A device, simulated or real, that refused or failed."""

    kind = "device"


class ToolError(QnnError):
    """Something that is missing on the machine."""

    kind = "tool"


class PathError(QnnError):
    """A file or folder that cannot be read or written."""

    kind = "file"


class QnnWarning(UserWarning):
    """What a user should know and nothing stops for; the command line prints it in one line."""


def one_line(error: BaseException) -> str:
    """What an exception says, without the line breaks that names of a user's file may have."""
    return " ".join(str(error).splitlines())


def first_line(error: BaseException) -> str:
    """What an exception of somebody else's code says in its first line, or else its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
