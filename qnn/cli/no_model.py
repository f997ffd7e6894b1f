"""What to say of a name that is of no float model: most are of files, some mistyped."""

import os


def of_a_file(name: str) -> str:
    """What a file is for that holds no float model, though it is of one."""
    quantized = f"model '{name}' is no float model"
    if not os.path.exists(name):
        return f"{quantized}, and there is no such file; name a float model"
    if name.endswith(".qgraph"):
        return f"{quantized} but quantized already; 'qnn check' and 'qnn compile' take it"
    return (
        f"{quantized}: what 'qnn quantize' wrote is quantized already, and 'qnn train', 'qnn "
        f"export' and 'qnn compile' take it; weights are for --checkpoint, beside module:factory"
    )


def of_a_name(name: str) -> str:
    """What to do about a name that is of no kind of float model."""
    if os.path.exists(name):
        return "a file of another kind is no model"
    # Names of the zoo and of factories have neither without a colon; a mistyped file has.
    if ":" not in name and ("." in name or os.sep in name):
        return "there is no such file, and no colon in front of a factory"
    return "name a module that Python can import and a callable in it"
