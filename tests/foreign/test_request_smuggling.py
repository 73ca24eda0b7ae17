"""Request smuggling: whatever is sent, however it is cut, the actor sees no request that a strict reader of the same bytes does not see."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from provider_sdk.contracts.httpserver import HttpRequest
from tests.foreign.attacks import AT_MOST, AWAITED, CHUNKED, EARLY, END, FIRST, PIPELINED, READ, REFUSED, SMUGGLED, TRAILERS, UPGRADES, post
from tests.foreign.door import PATIENT, SOON, Doors, Outcome, Pieces, each, told, ways
from tests.tiers import scale

SEEDS = range(scale(test=8, ci=20, soak=2000))

pytestmark = pytest.mark.asyncio(loop_scope="module")


def saw(expected: tuple[str, ...]) -> Callable[[Outcome], bool]:
    """Whether the actor saw just these, and each was answered."""
    return lambda outcome: tuple(map(told, outcome.requests)) == expected and outcome.statuses == (200,) * len(outcome.seen)


def saw_at_most(expected: tuple[str, ...]) -> Callable[[Outcome], bool]:
    """Whether the actor saw these or a beginning of them, and nothing else if that was not all."""

    def holds(outcome: Outcome) -> bool:
        seen = tuple(map(told, outcome.requests))
        return seen == expected or (seen == expected[: len(seen)] and outcome.seen == outcome.requests)

    return holds


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_strict_reader_does_not_take_is_refused(name: str, doors: Doors) -> None:
    each(await doors.every_way(ways(REFUSED[name], SMUGGLED)), lambda outcome: outcome.refused)


@pytest.mark.parametrize("name", READ)
async def test_what_is_unusual_but_not_ambiguous_is_read(name: str, doors: Doors) -> None:
    data, expected = READ[name]
    each(await doors.every_way(ways(data, SMUGGLED), answers=len(expected)), saw(expected))


@pytest.mark.parametrize("name", PIPELINED)
async def test_a_request_behind_another_is_read_as_such(name: str, doors: Doors) -> None:
    data, expected = PIPELINED[name]
    each(await doors.every_way(ways(data, SMUGGLED), answers=len(expected)), saw(expected))


@pytest.mark.parametrize("name", AT_MOST)
async def test_no_more_is_read_than_a_strict_reader_would(name: str, doors: Doors) -> None:
    data, expected = AT_MOST[name]
    each(await doors.every_way(ways(data, SMUGGLED), answers=max(1, len(expected)), within=SOON), saw_at_most(expected))


@pytest.mark.parametrize("name", AWAITED)
async def test_a_body_that_is_awaited_in_odd_words_is_no_request(name: str, doors: Doors) -> None:
    outcomes = await doors.every_way(ways(AWAITED[name], SMUGGLED), within=SOON)
    each(outcomes, lambda outcome: tuple(map(told, outcome.requests)) in ((), (f"POST /first {SMUGGLED.decode()}",)))


@pytest.mark.parametrize("name", UPGRADES)
async def test_what_follows_a_request_for_another_protocol_is_read_as_http_or_not_at_all(name: str, doors: Doors) -> None:
    data, expected = UPGRADES[name]
    outcomes = await doors.every_way(ways(data, SMUGGLED, b"POST /second"), answers=len(expected), within=SOON, first=PATIENT)
    each(outcomes, lambda outcome: outcome.requests != () and saw_at_most(expected)(outcome))


@pytest.mark.parametrize("trailer", TRAILERS)
async def test_a_trailer_is_no_header_of_its_request_nor_of_the_next(trailer: str, doors: Doors) -> None:
    alone = post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-First: 1\r\n" + f"{trailer}\r\n\r\n".encode())

    def holds(outcome: Outcome) -> bool:
        return all(request.header == {"host": ["here"]} for request in outcome.seen)

    each(await doors.every_way(ways(alone)), lambda outcome: holds(outcome) and saw(FIRST)(outcome))
    followed = await doors.every_way(ways(alone + SMUGGLED, SMUGGLED), answers=2, within=SOON, first=PATIENT)
    each(followed, lambda outcome: holds(outcome) and saw_at_most((*FIRST, "GET /smuggled"))(outcome))


@pytest.mark.parametrize("name", EARLY)
async def test_the_body_of_a_request_that_is_answered_early_is_no_request(name: str, doors: Doors) -> None:
    for door, status in ((doors.short, 413), (doors.readonly, 405)):
        outcome = await door.exchange(EARLY[name], within=SOON)
        assert not outcome.requests, str(outcome)
        assert outcome.statuses[:1] in ((status,), (400,), ()), str(outcome)


@pytest.mark.parametrize("authority", ["there", "there:8080", "[::1]:80"])
async def test_the_host_of_an_absolute_target_is_the_host(authority: str, doors: Doors) -> None:
    expected = (HttpRequest("GET", "/first", "", {"host": [authority]}, b""),)
    data = f"GET http://{authority}/first HTTP/1.1\r\nHost: here\r\n\r\n".encode()
    each(await doors.every_way(ways(data)), lambda outcome: outcome.refused or outcome.requests == expected)


@pytest.mark.parametrize("seed", SEEDS)
async def test_requests_behind_each_other_are_seen_one_by_one(seed: int, doors: Doors) -> None:
    chance = random.Random(seed)
    bodies = [a_body(chance) for _ in range(chance.randrange(2, 80))]
    data = b"".join(post(*chance.choice([(), (b"Expect: 100-continue",)]), b"Content-Length: %d" % len(body), body=body) for body in bodies)
    each(await doors.every_way([cut(chance, data)], answers=len(bodies)), saw(tuple(map(first_with, bodies))))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_body_in_chunks_is_seen_whole(seed: int, doors: Doors) -> None:
    chance = random.Random(seed)
    chunks = [a_body(chance) or b"x" for _ in range(chance.randrange(20))]
    extensions = (b"", b"", b";a", b';a="b;c"')
    coded = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), chance.choice(extensions), chunk) for chunk in chunks)
    data = post(CHUNKED, body=coded + END)
    each(await doors.every_way([cut(chance, data) for _ in range(4)]), saw((first_with(b"".join(chunks)),)))


def a_body(chance: random.Random) -> bytes:
    return chance.choice([b"", SMUGGLED, END + SMUGGLED, b"\r\n\r\n", b"x" * 70_000, chance.randbytes(chance.randrange(5000))])


def cut(chance: random.Random, data: bytes) -> Pieces:
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(6)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def first_with(body: bytes) -> str:
    return f"POST /first {body.decode('latin-1')}".rstrip(" ")
