"""The httpserver in a Python from which the parts have been taken that macOS lacks."""

from __future__ import annotations

import os
import select
import socket

for part, names in {
    os: ("pidfd_open", "sched_getaffinity", "posix_fallocate"),
    socket: ("TCP_INFO", "TCP_USER_TIMEOUT"),
    select: ("epoll", "POLLRDHUP"),
}.items():
    for name in names:
        if hasattr(part, name):
            delattr(part, name)

from provider_sdk import main  # noqa: E402
from providers.httpserver.provider import HttpServerProvider  # noqa: E402

main(HttpServerProvider)
