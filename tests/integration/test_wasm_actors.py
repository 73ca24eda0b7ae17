"""WebAssembly actors on a real runtime: the prebuilt examples, and hand-made modules for each rule of wasmbus-0x.md §10.1."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgpack
import pytest
from wasmtime import wat2wasm

from provider_sdk.errors import DeadlineExceeded, Internal, InvalidArgument, ProviderError, ResourceExhausted, Unavailable, Unsupported
from provider_sdk.lattice.wasm import Actor, HostCall, Limits

EXAMPLES = Path(__file__).parents[2] / "examples"

IMPORTS = """
  (import "wasmbus" "__guest_request" (func $request (param i32 i32)))
  (import "wasmbus" "__guest_response" (func $response (param i32 i32)))
  (import "wasmbus" "__guest_error" (func $error (param i32 i32)))
  (import "wasmbus" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasmbus" "__host_response_len" (func $host_response_len (result i32)))
  (import "wasmbus" "__host_response" (func $host_response (param i32)))
  (import "wasmbus" "__host_error_len" (func $host_error_len (result i32)))
  (import "wasmbus" "__host_error" (func $host_error (param i32)))
"""

FORWARDER = f"""(module {IMPORTS}
  (memory (export "memory") 64)
  (data (i32.const 16) "default")
  (data (i32.const 32) "wasmcloud:keyvalue")
  (func (export "__guest_call") (param $ol i32) (param $pl i32) (result i32) (local $n i32)
    (call $request (i32.const 1024) (i32.const 65536))
    (if (i32.ne (call $host_call (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 18)
                                 (i32.const 1024) (local.get $ol) (i32.const 65536) (local.get $pl)) (i32.const 1))
      (then (local.set $n (call $host_error_len)) (call $host_error (i32.const 2097152))
            (call $error (i32.const 2097152) (local.get $n)) (return (i32.const 0))))
    (local.set $n (call $host_response_len)) (call $host_response (i32.const 2097152))
    (call $response (i32.const 2097152) (local.get $n)) (i32.const 1)))"""

ASK = """(call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"""


def guest(body: str, head: str = '(memory (export "memory") 1)') -> bytes:
    """A module whose `__guest_call` is `body`; `$ol` and `$pl` are its parameters."""
    return bytes(wat2wasm(f'(module {IMPORTS} {head} (func (export "__guest_call") (param $ol i32) (param $pl i32) (result i32) {body}))'))


async def nobody(binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
    raise Unavailable(f"nobody answers {namespace}")


@asynccontextmanager
async def running(wasm: bytes, host_call: HostCall = nobody, **limits: Any) -> AsyncIterator[Actor]:
    actor = await Actor.load(wasm, host_call, name="test", limits=Limits(**limits))
    try:
        yield actor
    finally:
        await actor.close()


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


async def get(actor: Actor, path: str, query: str = "", **members: Any) -> dict[str, Any]:
    request = {"method": "GET", "path": path, "queryString": query, "header": {"host": ["here"]}, "body": b"", **members}
    answer: dict[str, Any] = msgpack.unpackb(await actor.call("HttpServer.HandleRequest", msgpack.packb(request)))
    return answer


def text(response: dict[str, Any]) -> tuple[int, str]:
    assert response["header"] == {"content-type": ["text/plain; charset=utf-8"]}
    return response["statusCode"], response["body"].decode()


def numbers(*answers: int) -> tuple[HostCall, list[tuple[str, str, str, Any]]]:
    """A number generator that answers the given numbers in turn, and what it was asked."""
    asked: list[tuple[str, str, str, Any]] = []
    turn = itertools.cycle(answers)

    async def host_call(binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
        argument: Any = msgpack.unpackb(payload) if payload else None
        asked.append((binding, namespace, operation, argument))
        if operation == "NumberGen.RandomInRange" and argument["min"] > argument["max"]:
            raise InvalidArgument("min is above max [invalid_argument]")
        return bytes(msgpack.packb("a-guid" if operation == "NumberGen.GenerateGuid" else next(turn)))

    return host_call, asked


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


async def test_hello_greets_and_names_the_paths_to_try() -> None:
    async with running(example("hello/hello.wasm")) as actor:
        status, body = text(await get(actor, "/"))
        assert status == 200
        assert all(path in body for path in ("/random", "/guid", "/echo", "/error"))


async def test_hello_asks_the_linked_number_generator() -> None:
    host_call, asked = numbers(4)
    async with running(example("hello/hello.wasm"), host_call) as actor:
        assert text(await get(actor, "/random", "min=3&max=5")) == (200, "4\n")
        assert text(await get(actor, "/guid")) == (200, "a-guid\n")
    assert asked == [
        ("default", "wasmcloud:numbergen", "NumberGen.RandomInRange", {"min": 3, "max": 5}),
        ("default", "wasmcloud:numbergen", "NumberGen.GenerateGuid", None),
    ]


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("min=6&max=1", 400, "min is above max [invalid_argument]\n"),
        ("min=x", 400, "min and max are"),
        ("max=4294967296", 400, "min and max are"),
    ],
)
async def test_hello_answers_400_to_a_wrong_range(query: str, status: int, body: str) -> None:
    async with running(example("hello/hello.wasm"), numbers(1)[0]) as actor:
        answer = text(await get(actor, "/random", query))
        assert answer[0] == status
        assert answer[1].startswith(body)


async def test_hello_answers_502_where_nobody_generates_numbers() -> None:
    async with running(example("hello/hello.wasm")) as actor:
        assert text(await get(actor, "/random")) == (502, "nobody answers wasmcloud:numbergen\n")


async def test_hello_echoes_a_request_without_a_body_as_text() -> None:
    async with running(example("hello/hello.wasm")) as actor:
        answer = await get(actor, "/echo", "a=%20b", header={"x-two": ["1", "é"], "y": ["z"]})
        assert text(answer) == (200, "GET /echo\nquery: a=%20b\nx-two: 1, é\ny: z\n")


@pytest.mark.parametrize("size", [1, 255, 256, 65_536, 3_000_000])
async def test_hello_echoes_a_body_with_its_content_type(size: int) -> None:
    body = bytes(index % 251 for index in range(size))
    async with running(example("hello/hello.wasm")) as actor:
        answer = await get(actor, "/echo", method="POST", body=body, header={"content-type": ["image/x"]})
        assert answer == {"statusCode": 200, "header": {"content-type": ["image/x"]}, "body": body}


async def test_hello_answers_404_elsewhere_and_an_error_when_told_to() -> None:
    async with running(example("hello/hello.wasm")) as actor:
        assert (await get(actor, "/elsewhere"))["statusCode"] == 404
        with pytest.raises(Internal, match=r"^the hello actor was asked to fail$"):
            await get(actor, "/error")


@pytest.mark.parametrize("name", ["hello/hello.wasm", "primes/asker.wasm", "primes/primes.wasm", "greeter/greeter_actor.wasm"])
async def test_an_example_refuses_an_operation_that_it_does_not_have(name: str) -> None:
    async with running(example(name)) as actor:
        with pytest.raises(Internal, match=r"^method not handled Some\.Thing$"):
            await actor.call("Some.Thing", b"")


async def test_an_example_does_not_grow_with_the_number_of_calls() -> None:
    async with running(example("hello/hello.wasm"), memory=1 << 20) as actor:
        for _ in range(200):
            assert (await get(actor, "/echo", body=bytes(50_000)))["statusCode"] == 200


async def test_an_argument_that_is_cut_off_traps_with_the_readers_words() -> None:
    async with running(example("hello/hello.wasm")) as actor:
        with pytest.raises(Internal, match=r"^actor test in HttpServer\.HandleRequest: trapped: msgpack: the value is cut off$"):
            await actor.call("HttpServer.HandleRequest", b"\x81\xa6met")


async def test_an_example_skips_members_that_it_does_not_know() -> None:
    unknown = {"a": [1, -1, 1.5, None, True], "b": {"c": "x" * 300}, "d": b"e" * 300, "f": [-200, -40_000, -(2**40), 2**63]}
    async with running(example("hello/hello.wasm")) as actor:
        assert (await get(actor, "/", other=unknown))["statusCode"] == 200


async def test_primes_answers_only_primes() -> None:
    host_call, asked = numbers(14, 24, 98, 4_294_967_295)
    async with running(example("primes/primes.wasm"), host_call) as actor:
        in_range = [msgpack.unpackb(await actor.call("NumberGen.RandomInRange", msgpack.packb({"min": 14, "max": 98}))) for _ in range(3)]
        any_prime = msgpack.unpackb(await actor.call("NumberGen.Random32", b""))
        guid = msgpack.unpackb(await actor.call("NumberGen.GenerateGuid", b""))
    assert in_range == [17, 29, 17]
    assert any_prime == 2
    assert [len(part) for part in guid.split("-")] == [8, 4, 4, 4, 12]
    assert all(is_prime(int(guid.replace("-", "")[at : at + 8], 16)) for at in (0, 8, 16, 24))
    assert {namespace for _, namespace, _, _ in asked} == {"wasmcloud:builtin:numbergen"}


@pytest.mark.parametrize(("low", "high", "words"), [(24, 28, "no prime lies between 24 and 28"), (9, 1, "min 9 is above max 1")])
async def test_primes_refuses_a_range_without_primes(low: int, high: int, words: str) -> None:
    async with running(example("primes/primes.wasm"), numbers(25)[0]) as actor:
        with pytest.raises(Internal, match=words + r" \[invalid_argument\]"):
            await actor.call("NumberGen.RandomInRange", msgpack.packb({"min": low, "max": high}))


async def test_asker_passes_on_whatever_the_number_generator_says() -> None:
    host_call, asked = numbers(70_000)
    async with running(example("primes/asker.wasm"), host_call) as asker:
        assert msgpack.unpackb(await asker.call("Asker.Ask", msgpack.packb({"min": 1, "max": 100_000}))) == 70_000
        assert text(await get(asker, "/", "min=1&max=9")) == (200, "70000\n")
        with pytest.raises(Internal, match="min is above max"):
            await asker.call("Asker.Ask", msgpack.packb({"min": 2, "max": 1}))
    assert asked[0] == ("default", "wasmcloud:numbergen", "NumberGen.RandomInRange", {"min": 1, "max": 100_000})


async def test_one_actor_can_stand_in_for_the_provider_that_another_asks() -> None:
    async with running(example("primes/primes.wasm"), numbers(90)[0]) as primes:

        async def to_primes(binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
            return await primes.call(operation, payload)

        async with running(example("primes/asker.wasm"), to_primes) as asker:
            assert msgpack.unpackb(await asker.call("Asker.Ask", msgpack.packb({"min": 1, "max": 100}))) == 97


@pytest.mark.parametrize(("path", "name"), [("/Ada", "Ada"), ("/", "world"), ("/J%C3%BCrgen%20%", "Jürgen %")])
async def test_the_greeter_actor_has_its_provider_greet(path: str, name: str) -> None:
    asked = []

    async def host_call(binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
        asked.append((binding, namespace, operation))
        return bytes(msgpack.packb(f"Hello, {msgpack.unpackb(payload)}!"))

    async with running(example("greeter/greeter_actor.wasm"), host_call) as actor:
        assert text(await get(actor, path)) == (200, f"Hello, {name}!\n")
    assert asked == [("default", "acme:greeter", "Greeter.Greet")]


async def test_the_forwarder_passes_operation_and_payload_on() -> None:
    asked = []

    async def host_call(*call: Any) -> bytes:
        asked.append(call)
        return b"\xa2ok"

    async with running(bytes(wat2wasm(FORWARDER)), host_call) as actor:
        assert await actor.call("KeyValue.Get", b"\xa5mykey") == b"\xa2ok"
    assert asked == [("default", "wasmcloud:keyvalue", "KeyValue.Get", b"\xa5mykey")]


async def test_a_failed_host_call_reaches_the_guest_as_its_text() -> None:
    async with running(bytes(wat2wasm(FORWARDER))) as actor:
        with pytest.raises(Internal, match=r"^nobody answers wasmcloud:keyvalue$"):
            await actor.call("KeyValue.Get", b"")


async def test_a_failed_host_call_returns_all_ones() -> None:
    async with running(
        guest(
            f"(i32.store (i32.const 0) {ASK}) (call $host_error (i32.const 64)) (call $response (i32.const 0) (i32.const 4)) (i32.const 1)"
        )
    ) as actor:
        assert await actor.call("Some.Thing", b"") == b"\xff\xff\xff\xff"


async def test_an_exception_of_the_host_itself_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def host_call(*call: Any) -> bytes:
        raise ValueError("secret")

    async with running(bytes(wat2wasm(FORWARDER)), host_call) as actor:
        with pytest.raises(Internal, match=r"^the host failed to carry out the call$"):
            await actor.call("KeyValue.Get", b"")
    assert "secret" in caplog.text


async def test_a_host_error_that_the_guest_does_not_fetch_fails_the_call() -> None:
    async with running(guest(f"(drop {ASK}) (i32.const 1)")) as actor:
        with pytest.raises(Internal, match=r"^nobody answers $"):
            await actor.call("Some.Thing", b"")


async def test_a_guest_may_answer_nothing_but_not_with_a_status_other_than_one() -> None:
    async with running(guest("(i32.eqz (local.get $pl))")) as actor:
        assert await actor.call("Some.Thing", b"") == b""
        with pytest.raises(Internal, match=r"^actor test in Some\.Thing: returned status 0 without an error text$"):
            await actor.call("Some.Thing", b"fail")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(unreachable)", "unreachable"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer division by zero"),
        ("(i32.load (i32.const -8))", "memory out of bounds"),
        ("(call $request (i32.const -1) (i32.const 0)) (i32.const 1)", "bytes 4294967295 to 4294967305 lie outside the memory"),
        ("(call $response (i32.const 65530) (i32.const 7)) (i32.const 1)", "bytes 65530 to 65537 lie outside the memory"),
        (
            "(call $request (i32.const 0) (i32.const 9)) (call $request (i32.const 0) (i32.const 9)) (i32.const 1)",
            "__guest_request was called twice",
        ),
        ("(call $host_response (i32.const 0)) (i32.const 1)", "__host_response was called without a response"),
        ("(call $host_error (i32.const 0)) (i32.const 1)", "__host_error was called without an error"),
        (
            "(i32.store8 (i32.const 0) (i32.const 0xff)) (call $error (i32.const 0) (i32.const 1)) (i32.const 0)",
            "a text given to the host is not UTF-8",
        ),
    ],
)
async def test_a_trap_is_one_line(body: str, reason: str) -> None:
    async with running(guest(body)) as actor:
        with pytest.raises(Internal) as caught:
            await actor.call("Some.Thing", b"")
    assert caught.value.message == f"actor test in Some.Thing: trapped: {reason}"


COUNTER = """(global.set $n (i32.add (global.get $n) (i32.const 1)))
  (if (local.get $pl) (then (unreachable)))
  (i32.store (i32.const 0) (global.get $n)) (call $response (i32.const 0) (i32.const 1)) (i32.const 1)"""
COUNTER_HEAD = '(memory (export "memory") 1) (global $n (mut i32) (i32.const 0))'


async def test_an_instance_keeps_its_memory_until_it_traps() -> None:
    async with running(guest(COUNTER, COUNTER_HEAD), instances=1) as actor:
        assert [await actor.call("Count", b"") for _ in range(3)] == [b"\1", b"\2", b"\3"]
        with pytest.raises(Internal):
            await actor.call("Count", b"trap")
        assert await actor.call("Count", b"") == b"\1"


async def test_start_runs_before_every_call() -> None:
    head = COUNTER_HEAD + '(func (export "_start") (global.set $n (i32.const 40)))'
    async with running(guest(COUNTER, head), instances=1) as actor:
        assert [await actor.call("Count", b"") for _ in range(2)] == [b"\x29", b"\x29"]


async def test_a_memory_import_is_satisfied_with_four_pages() -> None:
    wat = """(module (import "" "memory" (memory 4)) (import "wapc" "__guest_response" (func $response (param i32 i32)))
      (export "memory" (memory 0)) (func (export "__guest_call") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (memory.size)) (call $response (i32.const 0) (i32.const 1)) (i32.const 1)))"""
    async with running(bytes(wat2wasm(wat))) as actor:
        assert await actor.call("Size", b"") == b"\4"


async def test_wasi_is_there() -> None:
    wat = """(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasmbus" "__guest_response" (func $response (param i32 i32))) (memory (export "memory") 1)
      (func (export "__guest_call") (param i32 i32) (result i32)
        (drop (call $random (i32.const 0) (i32.const 16))) (call $response (i32.const 0) (i32.const 16)) (i32.const 1)))"""
    async with running(bytes(wat2wasm(wat))) as actor:
        assert await actor.call("Random", b"") != await actor.call("Random", b"")


async def test_a_console_line_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with running(example("hello/hello.wasm")) as actor:
        await get(actor, "/guided")
    assert "actor test: GET /guided" in caplog.text


async def test_the_time_limit_ends_a_call_and_the_next_one_is_served() -> None:
    body = f"(if (local.get $pl) (then (loop $for_ever (br $for_ever)))) {COUNTER.replace('(unreachable)', '(nop)')}"
    async with running(guest(body, COUNTER_HEAD), seconds=0.1, instances=1) as actor:
        with pytest.raises(DeadlineExceeded, match=r"^actor test in Some\.Thing: ran for more than 0\.1 s$"):
            await actor.call("Some.Thing", b"loop")
        assert await actor.call("Count", b"") == b"\1"


async def test_waiting_for_a_host_call_does_not_count_against_the_time_limit() -> None:
    async def slow(*call: Any) -> bytes:
        await asyncio.sleep(0.5)
        return b"late"

    async with running(bytes(wat2wasm(FORWARDER)), slow, seconds=0.1) as actor:
        assert await actor.call("Some.Thing", b"") == b"late"


async def test_a_guest_that_asks_for_ever_is_ended_by_the_time_limit() -> None:
    async def instant(*call: Any) -> bytes:
        return b""

    async with running(guest(f"(loop $ask (drop {ASK}) (br $ask)) (unreachable)"), instant, seconds=0.1) as actor:
        with pytest.raises(DeadlineExceeded):
            await actor.call("Some.Thing", b"")


async def test_memory_cannot_grow_beyond_the_limit() -> None:
    body = "(i32.store (i32.const 0) (memory.grow (i32.const 32))) (call $response (i32.const 0) (i32.const 4)) (i32.const 1)"
    async with running(guest(body), memory=1 << 20) as actor:
        assert await actor.call("Grow", b"") == b"\xff\xff\xff\xff"


async def test_a_module_that_starts_above_the_memory_limit_is_refused_in_one_line() -> None:
    async with running(guest("(i32.const 1)", '(memory (export "memory") 32)'), memory=1 << 20) as actor:
        with pytest.raises(Internal, match="memory") as caught:
            await actor.call("Some.Thing", b"")
    assert "\n" not in caught.value.message


def behind(gate: asyncio.Event) -> HostCall:
    """A host call that answers once `gate` is set."""

    async def host_call(*call: Any) -> bytes:
        await gate.wait()
        return b"through"

    return host_call


def rendezvous(parties: int) -> HostCall:
    """A host call that answers once `parties` guests wait in it."""
    barrier = asyncio.Barrier(parties)

    async def host_call(*call: Any) -> bytes:
        await barrier.wait()
        return b"met"

    return host_call


async def test_instances_run_at_once() -> None:
    async with running(bytes(wat2wasm(FORWARDER)), rendezvous(3), instances=3) as actor, asyncio.timeout(10):
        assert await asyncio.gather(*(actor.call("Some.Thing", b"") for _ in range(9))) == [b"met"] * 9


async def test_calls_beyond_the_bounds_are_refused_at_once_and_the_others_are_served() -> None:
    gate = asyncio.Event()
    async with running(bytes(wat2wasm(FORWARDER)), behind(gate), instances=1, waiting=2) as actor:
        admitted = [asyncio.create_task(actor.call("Some.Thing", b"")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted, match="3 calls"):
            await actor.call("Some.Thing", b"")
        gate.set()
        assert await asyncio.gather(*admitted) == [b"through"] * 3


async def test_a_cancelled_caller_leaves_the_actor_usable() -> None:
    gate = asyncio.Event()
    async with running(bytes(wat2wasm(FORWARDER)), behind(gate), instances=1) as actor:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(actor.call("Some.Thing", b""), 0.05)
        gate.set()
        assert await actor.call("Some.Thing", b"") == b"through"


serving: ContextVar[str] = ContextVar("serving", default="")


async def test_a_host_call_runs_in_the_context_of_the_call_that_caused_it() -> None:
    async def host_call(*call: Any) -> bytes:
        return serving.get().encode()

    async def call_as(actor: Actor, name: str) -> bytes:
        serving.set(name)
        return await actor.call("Some.Thing", b"")

    async with running(bytes(wat2wasm(FORWARDER)), host_call) as actor:
        assert await asyncio.gather(*(call_as(actor, name) for name in ("a", "b", "c"))) == [b"a", b"b", b"c"]


async def wait_for_ever(*call: Any) -> bytes:
    return bytes(await asyncio.Event().wait())


@pytest.mark.parametrize(
    "wasm", [guest("(loop $for_ever (br $for_ever)) (unreachable)"), bytes(wat2wasm(FORWARDER))], ids=["looping", "waiting"]
)
async def test_closing_interrupts_what_runs_and_leaves_no_thread(wasm: bytes) -> None:
    async with running(wasm, wait_for_ever, seconds=None, instances=2) as actor, asyncio.timeout(10):
        calls = [asyncio.create_task(actor.call("Some.Thing", b"")) for _ in range(4)]
        await asyncio.sleep(0.1)
        await actor.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
        with pytest.raises(Unavailable, match=r"^actor test is stopped$"):
            await actor.call("Some.Thing", b"")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("actor-test")]


@pytest.mark.parametrize(
    ("wasm", "error", "words"),
    [
        (b"", InvalidArgument, "is no valid WebAssembly module"),
        (b"\x7fELF", InvalidArgument, "is no valid WebAssembly module"),
        (b"\0asm\1\0", InvalidArgument, "is no valid WebAssembly module"),
        (b"\0asm\1\0\0\0", InvalidArgument, "exports no __guest_call"),
        (b"\0asm\x0d\0\1\0", Unsupported, "is a WebAssembly component"),
    ],
)
async def test_what_is_no_actor_is_refused_in_one_line(wasm: bytes, error: type[ProviderError], words: str) -> None:
    with pytest.raises(error, match=rf"^actor test: {words}") as caught:
        await Actor.load(wasm, nobody, name="test")
    assert "\n" not in caught.value.message


async def test_an_import_that_hosts_do_not_offer_is_named() -> None:
    wasm = wat2wasm('(module (import "env" "abort" (func)) (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))')
    with pytest.raises(InvalidArgument, match=r"^actor test: imports env\.abort, which 0\.x hosts do not offer$"):
        await Actor.load(bytes(wasm), nobody, name="test")
