"""Devices by URI."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from qnn.runtime.transport import Transport

FORMS = (
    "pynq:FILE.bit[?download=no], uio:uio0[,uio1...]?memory=udmabuf0[&mhz=NUMBER], or "
    "rtl://HOST:PORT"
)


def open_transport(uri: str) -> Transport:
    """The device that ``uri`` names, in one of ``FORMS``.

    Raises
    ------
    ValueError
        It names none.
    DeviceError
        The device is not there.
    """
    try:
        opener = _opener(uri)
    except (KeyError, ValueError):
        raise ValueError(f"device must be {FORMS}, not '{uri}'") from None
    return opener()


def _opener(uri):
    parts = urlsplit(uri)
    # Strict: a misspelt option is refused, and not ignored.
    options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    if parts.scheme == "rtl" and not options and parts.path in ("", "/"):
        # Here, as a board needs no sockets and a simulation no PYNQ.
        from qnn.runtime.remote import RemoteTransport

        host, port = parts.hostname, parts.port
        if not host or port is None:
            raise ValueError
        return lambda: RemoteTransport(host, port)
    if parts.scheme == "uio" and parts.path:
        from qnn.runtime.uio import UioTransport

        memory, clock = options.pop("memory"), options.pop("mhz", None)
        hertz = None if clock is None else 1e6 * float(clock)
        if options or (hertz is not None and not 0 < hertz < float("inf")):
            raise ValueError
        return lambda: UioTransport(parts.path.split(","), memory, hertz)
    if parts.scheme == "pynq" and parts.path and options in ({}, {"download": "no"}):
        from qnn.runtime.pynq import PynqTransport

        return lambda: PynqTransport(Path(parts.path), download=not options)
    raise ValueError
