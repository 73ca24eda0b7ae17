"""Ports of loopback for servers of tests."""

from __future__ import annotations

import random
import socket

# Below what systems give to outgoing connections, which would take a port between its choice and its use.
_RANGE = range(10_000, 22_000)
_given: set[int] = set()


def free_port(beside: int = 0) -> int:
    """A port of loopback that is free, as is the one `beside` further; none is given twice."""
    while True:
        port = random.choice(_RANGE)
        if port not in _given and _free(port) and _free(port + beside):
            _given.add(port)
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
