"""Cross-origin requests: the official provider's answers (wasmbus-0x.md §9.1) line by line, and what a browser makes of both modes.

The browser here is the Fetch standard's: §3.2.2 to §3.2.4, the CORS check of §4.10 and the CORS-preflight fetch of §4.9.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from provider_sdk import InvalidArgument
from providers.httpserver.answer import Answer
from providers.httpserver.config import CorsConfig
from providers.httpserver.cors import Cors

HOME = "https://home.example"
OTHER = "https://other.example"
SAFELISTED_METHODS = {"GET", "HEAD", "POST"}
USUAL = {"accept", "accept-language", "content-language", "content-type"}


Judged = tuple[int | None, list[tuple[str, str]], bytes]
"""Status (None where the actor is asked), header lines and body."""


def judge(config: CorsConfig, method: str = "GET", **header: str) -> Judged:
    return judged(Cors(config), method, header)


def judge_on_1_x(config: CorsConfig, method: str = "GET", **header: str) -> Judged:
    return judged(Cors(config, second=True), method, header)


def judged(cors: Cors, method: str, header: Mapping[str, str]) -> Judged:
    given = CIMultiDict({name.replace("_", "-"): value for name, value in header.items()})
    found = cors.judge(method, given)
    return (found.status, found.lines, found.whole) if isinstance(found, Answer) else (None, found, b"")


def values(lines: list[tuple[str, str]], name: str) -> list[str]:
    return [value for given, value in lines if given == name]


# As the official provider


def test_without_an_origin_nothing_is_added() -> None:
    assert judge(CorsConfig()) == (None, [], b"")
    assert judge(CorsConfig(), "OPTIONS", access_control_request_method="GET") == (None, [], b"")


@pytest.mark.parametrize("origin", [HOME, "null", "http://127.0.0.1:3000", "chrome-extension://abc"])
def test_any_origin_is_echoed_and_never_a_star(origin: str) -> None:
    status, lines, _ = judge(CorsConfig(), origin=origin)
    assert (status, values(lines, "access-control-allow-origin")) == (None, [origin])


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_an_origin_that_is_not_listed_gets_403_and_the_actor_is_not_asked(method: str) -> None:
    refused = judge(CorsConfig(allowed_origins=[HOME]), method, origin=OTHER, access_control_request_method="GET")
    assert (refused[0], refused[2]) == (403, b"CORS request forbidden: origin not allowed")
    assert values(refused[1], "content-type") == ["text/plain; charset=utf-8"]
    assert values(refused[1], "access-control-allow-origin") == []


@pytest.mark.parametrize("asked", [{}, {"access_control_request_method": "PATCH"}, {"access_control_request_method": "get"}])
def test_a_preflight_for_no_method_or_one_that_is_not_listed_gets_403(asked: dict[str, str]) -> None:
    status, lines, body = judge(CorsConfig(), "OPTIONS", origin=HOME, **asked)
    assert (status, body) == (403, b"CORS request forbidden: request-method not allowed")
    assert values(lines, "access-control-allow-methods") == []


@pytest.mark.parametrize("asked", ["x-own", "accept, x-own", "x-own,accept", "Accept ,\tX-OWN"])
def test_a_preflight_for_a_header_that_is_not_listed_gets_403(asked: str) -> None:
    status, _, body = judge(CorsConfig(), "OPTIONS", origin=HOME, access_control_request_method="GET", access_control_request_headers=asked)
    assert (status, body) == (403, b"CORS request forbidden: header not allowed")


def test_a_header_that_hides_in_a_second_line_is_seen() -> None:
    header = CIMultiDict({"Origin": HOME, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "accept"})
    header.add("Access-Control-Request-Headers", "x-own")
    judged = Cors(CorsConfig()).judge("OPTIONS", header)
    assert isinstance(judged, Answer)
    assert judged.status == 403


def test_a_preflight_is_answered_200_without_a_body_and_with_every_permission() -> None:
    config = CorsConfig(allowed_headers=["x-own", "Accept"], allowed_methods=["GET", "PUT"], exposed_headers=["x-seen"], max_age_secs=7)
    asked = {"access_control_request_method": "PUT", "access_control_request_headers": "X-Own, accept"}
    status, lines, body = judge(config, "OPTIONS", origin=HOME, **asked)
    assert (status, body) == (200, b"")
    assert dict(lines) == {
        "access-control-allow-headers": "x-own, Accept",
        "access-control-allow-methods": "GET, PUT",
        "access-control-max-age": "7",
        "access-control-allow-origin": HOME,
        "access-control-expose-headers": "x-seen",
        "vary": "origin, access-control-request-method, access-control-request-headers",
    }


def test_an_empty_list_of_headers_asks_for_none() -> None:
    assert judge(CorsConfig(), "OPTIONS", origin=HOME, access_control_request_method="GET", access_control_request_headers="")[0] == 200


def test_of_other_requests_only_the_origin_is_looked_at() -> None:
    status, lines, _ = judge(CorsConfig(allowed_methods=["GET"], allowed_headers=["accept"]), "DELETE", origin=HOME, x_own="1")
    assert (status, values(lines, "access-control-allow-origin")) == (None, [HOME])
    assert {name for name, _ in lines} == {"access-control-allow-origin", "vary"}


def test_exposed_headers_are_named_with_every_permission() -> None:
    lines = judge(CorsConfig(exposed_headers=["x-one", "x-two"]), origin=HOME)[1]
    assert values(lines, "access-control-expose-headers") == ["x-one, x-two"]


# What caches have to know, which the official provider does not tell


@pytest.mark.parametrize("mode", ["official", "fetch"])
def test_with_listed_origins_every_response_varies_by_origin(mode: str) -> None:
    config = CorsConfig(allowed_origins=[HOME], mode=mode)
    for header in ({}, {"origin": HOME}, {"origin": OTHER}):
        assert values(judge(config, **header)[1], "vary") == ["origin"]


def test_an_echoed_origin_varies_and_a_star_does_not() -> None:
    assert values(judge(CorsConfig(), origin=HOME)[1], "vary") == ["origin"]
    assert values(judge(CorsConfig(mode="fetch"), origin=HOME)[1], "vary") == []


@pytest.mark.parametrize("mode", ["official", "fetch"])
def test_a_preflights_answer_varies_by_all_that_it_was_made_of(mode: str) -> None:
    lines = judge(CorsConfig(mode=mode), "OPTIONS", origin=HOME, access_control_request_method="GET")[1]
    assert values(lines, "vary") == ["origin, access-control-request-method, access-control-request-headers"]


# By the Fetch standard


def test_by_the_standard_any_origin_is_a_star() -> None:
    assert judge(CorsConfig(mode="fetch"), origin=HOME) == (None, [("access-control-allow-origin", "*")], b"")


def test_by_the_standard_the_actor_answers_an_origin_that_is_not_listed_and_the_browser_refuses() -> None:
    assert judge(CorsConfig(mode="fetch", allowed_origins=[HOME]), origin=OTHER) == (None, [("vary", "origin")], b"")


def test_by_the_standard_options_that_ask_for_no_method_are_no_preflight() -> None:
    status, lines, _ = judge(CorsConfig(mode="fetch"), "OPTIONS", origin=HOME)
    assert (status, values(lines, "access-control-allow-origin")) == (None, ["*"])


def test_by_the_standard_a_refused_preflight_is_204_and_names_no_permission() -> None:
    status, lines, body = judge(
        CorsConfig(mode="fetch", allowed_origins=[HOME]), "OPTIONS", origin=OTHER, access_control_request_method="GET"
    )
    assert (status, body, [name for name, _ in lines]) == (204, b"", ["vary"])


class Browser:
    """A page's fetch(): whether its script gets to see the response."""

    def __init__(self, config: CorsConfig, origin: str) -> None:
        self.config = config
        self.origin = origin

    def sees(self, method: str, own: Mapping[str, str], *, credentials: bool) -> bool:
        unsafe = sorted(name.lower() for name in own if name.lower() not in USUAL)
        if (method not in SAFELISTED_METHODS or unsafe) and not self._preflight(method, unsafe, credentials):
            return False
        status, lines, _ = judge(self.config, method, origin=self.origin, **{name.replace("-", "_"): value for name, value in own.items()})
        return self._check(lines, credentials) and status is None

    def _preflight(self, method: str, unsafe: list[str], credentials: bool) -> bool:
        asked = {"access_control_request_method": method} | ({"access_control_request_headers": ",".join(unsafe)} if unsafe else {})
        status, lines, _ = judge(self.config, "OPTIONS", origin=self.origin, **asked)
        if not self._check(lines, credentials) or status is None or not 200 <= status <= 299:
            return False
        methods, headers = (self._listed(lines, f"access-control-allow-{what}") for what in ("methods", "headers"))
        star = set() if credentials else {"*"}
        method_ok = method in methods or method in SAFELISTED_METHODS or bool(star & methods)
        return method_ok and (bool(star & headers) or set(unsafe) <= {name.lower() for name in headers})

    def _check(self, lines: list[tuple[str, str]], credentials: bool) -> bool:
        allowed = values(lines, "access-control-allow-origin")
        if allowed == ["*"] and not credentials:
            return True
        return allowed == [self.origin] and (not credentials or values(lines, "access-control-allow-credentials") == ["true"])

    @staticmethod
    def _listed(lines: list[tuple[str, str]], name: str) -> set[str]:
        return {item.strip() for value in values(lines, name) for item in value.split(",") if item.strip()}


POLICIES = [
    CorsConfig(),
    CorsConfig(allowed_origins=[HOME]),
    CorsConfig(allowed_origins=[HOME], allow_credentials=True),
    CorsConfig(allowed_origins=[HOME, "https://third.example"], allowed_methods=["GET", "PATCH"], allowed_headers=["X-Own"]),
]


@pytest.mark.parametrize("mode", ["official", "fetch"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("origin", "method", "own", "credentials"),
    list(
        itertools.product(
            [HOME, OTHER, "null"], ["GET", "POST", "PUT", "PATCH"], [{}, {"X-Own": "1"}, {"X-Own": "1", "X-More": "1"}], [False, True]
        )
    ),
)
def test_a_page_sees_what_the_settings_allow_and_nothing_else(
    mode: str, policy: CorsConfig, origin: str, method: str, own: dict[str, str], credentials: bool
) -> None:
    config = CorsConfig(
        mode=mode,
        allowed_origins=policy.allowed_origins,
        allow_credentials=policy.allow_credentials,
        allowed_methods=policy.allowed_methods,
        allowed_headers=policy.allowed_headers,
    )
    # The official provider asks for listed methods in every preflight, the standard lets the usual three pass.
    preflighted = bool(own) or method not in SAFELISTED_METHODS
    free = SAFELISTED_METHODS if mode == "fetch" or not preflighted else set[str]()
    allowed = (
        (not policy.allowed_origins or origin in policy.allowed_origins)
        and method in {*policy.allowed_methods, *free}
        and {name.lower() for name in own} <= {name.lower() for name in policy.allowed_headers}
        and (policy.allow_credentials or not credentials)
    )
    assert Browser(config, origin).sees(method, own, credentials=credentials) == allowed


@pytest.mark.parametrize("mode", ["official", "fetch"])
def test_credentials_are_permitted_to_listed_origins_by_their_name(mode: str) -> None:
    config = CorsConfig(mode=mode, allowed_origins=[HOME], allow_credentials=True)
    lines = judge(config, origin=HOME)[1]
    assert (values(lines, "access-control-allow-origin"), values(lines, "access-control-allow-credentials")) == ([HOME], ["true"])
    assert values(judge(config, origin=OTHER)[1], "access-control-allow-credentials") == []


def test_credentials_for_any_origin_at_all_cannot_be_set() -> None:
    with pytest.raises(InvalidArgument, match="allow_credentials: name the allowed_origins: any page"):
        CorsConfig(allow_credentials=True)


# Lists of settings


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("https://home.example:443", HOME),
        ("http://home.example:80", "http://home.example"),
        ("HTTPS://Home.Example", HOME),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_listed_origin_is_found_however_it_is_written(listed: str, origin: str) -> None:
    assert judge(CorsConfig(allowed_origins=[listed]), origin=origin)[0] is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://home.example",
        "https://home.example:8443",
        "https://home.example.evil",
        "https://evil-home.example",
        "https://home.exampl",
        "",
        "null",
    ],
)
def test_an_origin_that_only_looks_like_a_listed_one_is_refused(origin: str) -> None:
    assert judge(CorsConfig(allowed_origins=[HOME]), origin=origin)[0] == 403


def test_listed_methods_mean_those_in_capitals() -> None:
    config = CorsConfig(allowed_methods=["get", "patch"])
    assert judge(config, "OPTIONS", origin=HOME, access_control_request_method="PATCH")[0] == 200


# Left to the actor


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_off_leaves_preflights_and_headers_to_the_actor(method: str) -> None:
    config = CorsConfig(mode="off", allowed_origins=[HOME])
    assert judge(config, method, origin=OTHER, access_control_request_method="GET") == (None, [], b"")
    assert not Cors(config).owns("access-control-allow-origin")


def test_otherwise_the_actors_own_cors_headers_give_way() -> None:
    cors = Cors(CorsConfig())
    assert cors.owns("access-control-allow-credentials")
    assert not cors.owns("vary")


# As the official provider of 1.x (wrpc-1x.md §5.2)


def test_on_1_x_any_origin_is_a_star_and_what_is_not_named_is_any() -> None:
    status, lines, _ = judge_on_1_x(CorsConfig(), origin=HOME)
    assert (status, lines) == (None, [("access-control-allow-origin", "*"), ("access-control-expose-headers", "*")])
    status, lines, body = judge_on_1_x(CorsConfig(allowed_methods=[], allowed_headers=[]), "OPTIONS", origin=HOME)
    assert (status, body) == (200, b"")
    assert (values(lines, "access-control-allow-methods"), values(lines, "access-control-allow-headers")) == (["*"], ["*"])


def test_on_1_x_an_origin_that_is_not_listed_is_served_without_permission() -> None:
    config = CorsConfig(allowed_origins=[f"{HOME}/"])
    assert judge_on_1_x(config, origin=OTHER) == (None, [("vary", "origin")], b"")
    assert values(judge_on_1_x(config, origin=HOME)[1], "access-control-allow-origin") == [HOME]
    refused = judge_on_1_x(config, "OPTIONS", origin=OTHER)
    assert (refused[0], values(refused[1], "access-control-allow-origin")) == (200, [])


def test_on_1_x_every_options_with_an_origin_is_a_preflight_and_the_usual_lists_are_told() -> None:
    status, lines, _ = judge_on_1_x(CorsConfig(), "OPTIONS", origin=HOME)
    assert status == 200
    assert values(lines, "access-control-allow-methods") == ["GET, POST, PUT, DELETE, HEAD, OPTIONS"]
    assert values(lines, "access-control-max-age") == ["300"]
    assert judge_on_1_x(CorsConfig(), "OPTIONS") == (None, [], b"")
