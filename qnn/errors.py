"""What is said to a user in one line: who, what it needs, what it got, what to do."""


class QnnError(Exception):
    """A refusal; the command line prints it without a stack trace and exits with 1."""


class ModelError(QnnError):
    """A model or its data that cannot be quantized."""


class CompileError(QnnError):
    """A graph that does not fit the accelerator."""


class DeviceError(QnnError):
    """A device, simulated or real, that refused or failed."""


class ToolError(QnnError):
    """Something that is missing on the machine."""


class QnnWarning(UserWarning):
    """What a user should know and nothing stops for; the command line prints it in one line."""
