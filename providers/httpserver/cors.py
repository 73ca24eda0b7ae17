"""Cross-origin requests: as the official providers answer them (wasmbus-0x.md §9.1, wrpc-1x.md §5.2) or by the Fetch standard, §3.2."""

from __future__ import annotations

from multidict import MultiMapping

from providers.httpserver.answer import Answer, Lines
from providers.httpserver.config import CorsConfig

ORIGIN = ("vary", "origin")
PREFLIGHT = ("vary", "origin, access-control-request-method, access-control-request-headers")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Cors:
    """The policy of one link; `second`: of a 1.x host."""

    def __init__(self, config: CorsConfig, *, second: bool = False) -> None:
        self._official = config.mode == "official" and not second
        self._second = config.mode == "official" and second
        self._off = config.mode == "off"
        self._origins = frozenset(map(_plain, config.allowed_origins))
        # Every method that is in use is in capitals, and names of methods are told apart by their case.
        methods = [method.upper() for method in config.allowed_methods]
        self._methods = frozenset(methods)
        self._headers = frozenset(name.lower() for name in config.allowed_headers)
        self._credentials: Lines = [("access-control-allow-credentials", "true")] if config.allow_credentials else []
        self._exposed: Lines = [("access-control-expose-headers", ", ".join(config.exposed_headers))] if config.exposed_headers else []
        self._preflight: Lines = [
            ("access-control-allow-headers", ", ".join(config.allowed_headers)),
            ("access-control-allow-methods", ", ".join(methods)),
            ("access-control-max-age", str(config.max_age_secs)),
        ]
        if self._second:
            # There, what is not named stands for all.
            self._exposed = self._exposed or [("access-control-expose-headers", "*")]
            self._preflight = [(name, value or "*") for name, value in self._preflight]
        # What caches have to know of every response: without Origin there is no permission in it.
        self._always: Lines = [ORIGIN] if self._origins else []

    def judge(self, method: str, header: MultiMapping[str]) -> Answer | Lines:
        """The answer to a preflight or to a refused request; else the lines to add to the response."""
        if self._off:
            return []
        origin = header.get("Origin")
        if origin is None:
            return self._always
        return self._official_judgement(method, header, origin) if self._official else self._standard_judgement(method, header, origin)

    def owns(self, name: str) -> bool:
        """Whether a response header of the actor, by its name in lower case, gives way to this policy."""
        return not self._off and name.startswith("access-control-")

    def _allowed(self, origin: str) -> bool:
        return not self._origins or _plain(origin) in self._origins

    def _official_judgement(self, method: str, header: MultiMapping[str], origin: str) -> Answer | Lines:
        if not self._allowed(origin):
            return _forbidden("origin not allowed")
        granted = [("access-control-allow-origin", origin), *self._credentials, *self._exposed]
        if method != "OPTIONS":
            return [*granted, ORIGIN]
        if header.get("Access-Control-Request-Method") not in self._methods:
            return _forbidden("request-method not allowed")
        if not _names(header.getall("Access-Control-Request-Headers", [])) <= self._headers:
            return _forbidden("header not allowed")
        return Answer(200, [*self._preflight, *granted, PREFLIGHT])

    def _standard_judgement(self, method: str, header: MultiMapping[str], origin: str) -> Answer | Lines:
        granted: Lines = []
        if not self._origins:
            granted = [("access-control-allow-origin", "*"), *self._exposed]
        elif self._allowed(origin):
            granted = [("access-control-allow-origin", origin), *self._credentials, *self._exposed]
        if method != "OPTIONS" or not (self._second or "Access-Control-Request-Method" in header):
            return [*granted, *self._always]
        return Answer(200 if self._second else 204, [*(granted and self._preflight), *granted, PREFLIGHT])


def _plain(origin: str) -> str:
    """An origin as browsers write it: in lower case, without the scheme's own port."""
    origin = origin.lower().removesuffix("/")
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], "\0"))


def _names(lines: list[str]) -> set[str]:
    return {name.strip().lower() for line in lines for name in line.split(",") if name.strip()}


def _forbidden(detail: str) -> Answer:
    body = f"CORS request forbidden: {detail}".encode()
    return Answer(403, [("content-type", "text/plain; charset=utf-8"), ORIGIN], body)
