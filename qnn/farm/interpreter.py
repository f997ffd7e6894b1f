"""What a Python process of ours needs to import the same packages as this one."""

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType


def python_environment(settings: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The environment of a Python process that imports what this one does.

    Parameters
    ----------
    settings : more of the environment
    """
    # Also those of a checkout that is not installed, and the folder of a user's modules.
    paths = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, **settings, "PYTHONPATH": paths}
