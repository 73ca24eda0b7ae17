"""Calls of 1.x on the wire (wrpc-1x.md §3): the sequences of §3.4 message for message, the rules of §3.2, §3.5, §3.6 and §3.7."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from provider_sdk.caller import connect
from provider_sdk.errors import DeadlineExceeded, Internal, NotFound, ProviderError, Unavailable
from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.interface import Interface, fails
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.types import U32, U64, Err, Ok
from tests.integration.wrpc_peer import Callee, Caller, a_transport, asking, serving
from tests.waiting import until

STORE = "lattice.prov.wrpc.0.0.1.wrpc:keyvalue/store@0.2.0-draft"
BLOBS = "lattice.prov.wrpc.0.0.1.wrpc:blobstore/blobstore@0.2.0"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


class Store(Interface, wit="wrpc:keyvalue/store@0.2.0-draft"):
    @abstractmethod
    @fails(str)
    async def get(self, bucket: str, key: str) -> bytes | None: ...

    @abstractmethod
    async def ping(self) -> None: ...

    @abstractmethod
    async def count(self) -> U32: ...


class Counting(Store):
    def __init__(self, value: bytes = b"7") -> None:
        self.value = value
        self.calls = 0
        self.release = asyncio.Event()
        self.release.set()

    async def get(self, bucket: str, key: str) -> bytes | None:
        self.calls += 1
        await self.release.wait()
        if key == "missing":
            raise NotFound("there is no such bucket")
        return self.value

    async def ping(self) -> None:
        self.calls += 1

    async def count(self) -> int:
        if not self.calls:
            raise NotFound("nothing was counted")
        return self.calls


@dataclass(frozen=True)
class ObjectId:
    container: str
    object: str


Outcome = Ok[None] | Err[str]


class Blobs(Interface, wit="wrpc:blobstore/blobstore@0.2.0"):
    @abstractmethod
    @fails(str)
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]: ...

    @abstractmethod
    @fails(str)
    async def get_container_data(self, id: ObjectId, start: U64, end: U64) -> tuple[AsyncIterator[bytes], Awaitable[Outcome]]: ...


class Kept(Blobs):
    """Keeps one object, and tells in the second part of an answer what became of the first."""

    def __init__(self, pieces: list[bytes] | None = None, fault: ProviderError | None = None) -> None:
        self.pieces = pieces or []
        self.fault = fault
        self.written = asyncio.Event()

    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        async def finish() -> Outcome:
            try:
                self.pieces = [piece async for piece in data]
            except ProviderError as error:
                return Err(error.message)
            finally:
                self.written.set()
            return Ok(None)

        return finish()

    async def get_container_data(self, id: ObjectId, start: int, end: int) -> tuple[AsyncIterator[bytes], Awaitable[Outcome]]:
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        async def pieces() -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece
            if self.fault is not None:
                done.set_result(Err(self.fault.message))
                raise self.fault
            done.set_result(Ok(None))

        return pieces(), done


# The sequences of §3.4, byte for byte.


async def test_a_unary_call_is_five_messages(server: NatsServer) -> None:
    async with serving(server, Counting()), a_transport(server) as transport:
        caller = Caller(transport)
        told = await caller.unary(f"{STORE}.get", bytes.fromhex("0764656661756c7407636f756e746572"))
        assert (caller.told[0], told) == (("", b""), [("results", bytes.fromhex("00010137")), ("results", b"")])


async def test_a_stream_parameter_comes_on_its_path_behind_the_result(server: NatsServer) -> None:
    kept = Kept()
    async with serving(server, kept), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{BLOBS}.write-container-data", bytes.fromhex("0163016f00"))
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert caller.told == [("", b""), ("results", bytes.fromhex("0000")), ("results", b"")]
        for piece in ("0568656c6c6f", "0620776f726c64", "00", ""):
            await caller.send("params.1", bytes.fromhex(piece))
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert caller.told[3:] == [("results.0", b"\x00"), ("results.0", b"")]
        assert b"".join(kept.pieces) == b"hello world"


async def test_a_stream_result_comes_on_its_paths_behind_the_values(server: NatsServer) -> None:
    async with serving(server, Kept([b"hello", b" world"])), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{BLOBS}.get-container-data", bytes.fromhex("0163016f000b"))
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: ("results.0.0", b"") in caller.told and ("results.0.1", b"") in caller.told)
        by_path = {path: [data for where, data in caller.told if where == path] for path, _ in caller.told}
        assert by_path == {
            "": [b""],
            "results": [bytes.fromhex("000000"), b""],
            "results.0.0": [bytes.fromhex("0568656c6c6f"), bytes.fromhex("0620776f726c64"), b"\x00", b""],
            "results.0.1": [b"\x00", b""],
        }
        assert caller.told.index(("results", b"")) < min(
            caller.told.index((path, data[0])) for path, data in by_path.items() if "." in path
        )


async def test_a_call_out_has_the_messages_of_a_host(server: NatsServer) -> None:
    subject = STORE.replace("prov", "comp2")
    async with asking(server, "comp2") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{subject}.get")
        await callee.listen()
        call = asyncio.create_task(Store.at(target).get("default", "counter"))
        await callee.accept()
        await callee.until(lambda: ("params", b"") in callee.told)
        assert callee.told == [("", bytes.fromhex("0764656661756c7407636f756e746572")), ("params", b"")]
        assert callee.headers == {"source-id": "comp", "target-id": "comp2", "link-name": "default"}
        await callee.send("results", bytes.fromhex("00010137"))
        await callee.send("results", b"")
        assert await call == b"7"


async def test_any_program_can_be_a_caller(server: NatsServer) -> None:
    async with serving(server, Counting()), connect(server.url, lattice="lattice", identity="script") as lattice:
        assert lattice.identity == "script"
        assert await Store.at(lattice.provider("prov", "wasi:keyvalue")).get("default", "counter") == b"7"


# The rules of §3.2.


async def test_arguments_and_results_may_be_larger_than_a_message(server: NatsServer) -> None:
    large = bytes(range(256)) * 12_000
    async with serving(server, Counting(large)), asking(server, "prov") as target:
        assert await Store.at(target, timeout=10).get("b" * 2_500_000, "k" * 1_100_000) == large


@pytest.mark.parametrize("size", range(1, 17, 5))
async def test_borders_of_messages_mean_nothing(server: NatsServer, size: int) -> None:
    async with serving(server, Kept()) as _, a_transport(server) as transport:
        caller = Caller(transport)
        arguments = bytes.fromhex("0163016f00")
        await caller.call(f"{BLOBS}.write-container-data", arguments[:size])
        await caller.accepted()
        for at in range(size, len(arguments)):
            await caller.send("params", arguments[at : at + 1])
        await caller.send("params", b"")
        stream = bytes.fromhex("0568656c6c6f0620776f726c6400")
        for at in range(0, len(stream), size):
            await caller.send("params.1", stream[at : at + size])
        await caller.send("params.1", b"")
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert ("results.0", b"\x00") in caller.told


async def test_a_failure_without_an_error_type_is_an_early_end(server: NatsServer) -> None:
    async with serving(server, Counting()), a_transport(server) as transport:
        assert await Caller(transport).unary(f"{STORE}.count", b"") == [("results", b"")]


async def test_a_failure_that_the_caller_cannot_be_told_is_one_warning_for_each_operation(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(server, Counting()), a_transport(server) as transport:
        for function in ("count", "count", "get"):
            await Caller(transport).unary(f"{STORE}.{function}", b"")
    untold = [item.getMessage() for item in caplog.records if "no @fails" in item.getMessage()]
    assert len(untold) == 1
    assert untold[0].startswith("Store.Count: ")


async def test_a_failure_with_an_error_type_is_a_value(server: NatsServer) -> None:
    async with serving(server, Counting()), asking(server, "prov") as target:
        with pytest.raises(NotFound, match="there is no such bucket"):
            await Store.at(target).get("default", "missing")


async def test_malformed_arguments_are_an_error_and_not_carried_out(server: NatsServer) -> None:
    counting = Counting()
    async with serving(server, counting), a_transport(server) as transport:
        for wrong in (b"\x01\xff\x01a", b"\x05ab", b"\xff" * 12):
            told = await Caller(transport).unary(f"{STORE}.get", wrong)
            assert told[0][1][:1] == b"\x01", told
        assert counting.calls == 0


async def test_a_call_without_a_reply_subject_is_dropped(server: NatsServer) -> None:
    counting = Counting()
    async with serving(server, counting), a_transport(server) as transport:
        await transport.publish(f"{STORE}.ping", b"")
        await Caller(transport).unary(f"{STORE}.ping", b"")
        assert counting.calls == 1


async def test_an_unknown_function_ends_early(server: NatsServer) -> None:
    async with serving(server, Counting()), a_transport(server) as transport:
        assert await Caller(transport).unary(f"{STORE}.frobnicate", b"") == [("results", b"")]


async def test_nobody_there_is_said_at_once(server: NatsServer) -> None:
    async with asking(server, "nobody") as target:
        with pytest.raises(Unavailable, match="nobody there serves it"):
            await Store.at(target, timeout=5).count()


async def test_a_callee_that_stays_silent_costs_no_more_than_the_timeout(server: NatsServer) -> None:
    async with asking(server, "silent") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{STORE.replace('prov', 'silent')}.count")
        await callee.listen()
        with pytest.raises(DeadlineExceeded, match="nobody has taken the call"):
            await Store.at(target, timeout=0.2).count()


async def test_an_answer_that_ends_early_is_an_error(server: NatsServer) -> None:
    async with asking(server, "prov") as target, serving(server, Counting()):
        with pytest.raises(Internal, match="ended before it was whole"):
            await Store.at(target).count()


# §3.7: a caller that drops what comes before it listens.


async def test_the_answer_waits_for_the_end_of_the_parameters(server: NatsServer) -> None:
    counting = Counting()
    async with serving(server, counting), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE}.get", b"\x01b\x01k")
        await asyncio.sleep(0.25)
        assert counting.calls == 1
        assert {path for path, _ in caller.told} == {""}
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert counting.calls == 1


async def test_the_accept_is_repeated_until_the_caller_is_heard(server: NatsServer) -> None:
    async with serving(server, Counting()), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE}.get", b"\x01b\x01k")
        await caller.until(lambda: caller.accepts == 3)
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        await asyncio.sleep(0.5)
        assert caller.accepts == 3


async def test_a_caller_that_sends_no_end_is_served_late_and_once_more_when_it_is_heard(server: NatsServer) -> None:
    counting = Counting()
    async with serving(server, counting), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE}.get", b"\x01b\x01k")
        answer = ("results", b"\x00\x01\x017")
        await caller.until(lambda: answer in caller.told)
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert [item for item in caller.told if item[0]] == [answer, answer, ("results", b"")]
        assert counting.calls == 1


async def test_the_end_is_not_awaited_from_hosts_that_send_none(server: NatsServer) -> None:
    async with serving(server, Counting(), era=Era.FIRST), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE}.get", b"\x01b")
        await caller.accepted()
        await caller.send("params", b"\x01k")
        await caller.until(lambda: ("results", b"") in caller.told, within=0.4)
        assert caller.accepts == 1


async def test_a_failure_is_told_on_the_error_channel_of_the_first_era(server: NatsServer) -> None:
    async with serving(server, Counting(), era=Era.FIRST), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE}.count", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        text = b"nothing was counted [not_found]"
        assert ("error", bytes([len(text)]) + text) in caller.told


# Streams without flow control.


async def test_a_stream_that_is_read_slowly_goes_to_a_file_and_comes_whole(server: NatsServer) -> None:
    pieces = [bytes([number]) * 300_000 for number in range(60)]
    limits = StreamLimits(memory=2 << 20, spool=64 << 20)
    async with serving(server, Kept(pieces)), asking(server, "prov", limits=limits) as target:
        data, outcome = await Blobs.at(target).get_container_data(ObjectId("c", "o"), 0, 1 << 40)
        budget = target.client.budget
        async with asyncio.timeout(60):
            while budget.spooled < 4 << 20:
                await asyncio.sleep(0.01)
        assert budget.memory <= 4 << 20
        received = b"".join([piece async for piece in data])
        assert received == b"".join(pieces)
        assert await outcome == Ok(None)
        assert (budget.memory, budget.spooled) == (0, 0)


async def test_a_stream_beyond_all_room_is_aborted_and_others_go_on(server: NatsServer) -> None:
    pieces = [bytes(300_000)] * 60
    limits = StreamLimits(memory=1 << 20, spool=2 << 20)
    async with serving(server, Kept(pieces)), asking(server, "prov", limits=limits) as target:
        data, outcome = await Blobs.at(target).get_container_data(ObjectId("c", "o"), 0, 1 << 40)
        outcome.close()  # type: ignore[attr-defined]  # what comes over the wire has it
        await asyncio.sleep(0.5)
        with pytest.raises(ProviderError, match="faster than it was read"):
            async for _ in data:
                await asyncio.sleep(0.2)  # slower than any machine sends
        assert (target.client.budget.memory, target.client.budget.spooled) == (0, 0)
        with pytest.raises(Internal):
            await Store.at(target).count()


async def test_an_upload_that_breaks_off_is_told_to_the_implementation(server: NatsServer) -> None:
    kept = Kept()
    async with serving(server, kept), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{BLOBS}.write-container-data", bytes.fromhex("0163016f00"))
        await caller.accepted()
        await caller.send("params", b"")
        await caller.send("params.1", bytes.fromhex("0568656c6c6f"))
        await caller.send("params.1", b"")
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert kept.pieces == []
        assert caller.told[-2][1][:1] == b"\x01"


async def test_a_download_that_fails_says_so_in_its_second_part_and_in_the_log(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(server, Kept([b"some"], Unavailable("the disk is gone"))), asking(server, "prov") as target:
        data, outcome = await Blobs.at(target).get_container_data(ObjectId("c", "o"), 0, 100)
        with pytest.raises(ProviderError, match="broke off"):
            async for _ in data:
                pass
        assert await outcome == Err("the disk is gone")
    told = [item.getMessage() for item in caplog.records if item.name == "provider.calls"]
    assert told == ["Blobs.GetContainerData: the caller sees a stream of its result break off: the disk is gone"]


async def test_a_large_upload_passes_in_both_directions_of_the_same_codec(server: NatsServer) -> None:
    kept = Kept()
    sent = [bytes([number % 251]) * 200_000 for number in range(100)]

    async def source() -> AsyncIterator[bytes]:
        for piece in sent:
            yield piece

    async with serving(server, kept), asking(server, "prov") as target:
        outcome = await Blobs.at(target).write_container_data(ObjectId("c", "o"), source())
        assert await outcome == Ok(None)
        assert b"".join(kept.pieces) == b"".join(sent)


async def test_a_dropped_stream_lets_go_of_everything(server: NatsServer) -> None:
    async with serving(server, Kept([bytes(200_000)] * 20)), asking(server, "prov") as target:
        data, outcome = await Blobs.at(target).get_container_data(ObjectId("c", "o"), 0, 1 << 40)
        await data.aclose()  # type: ignore[attr-defined]  # what comes over the wire has it
        del data, outcome
        await asyncio.sleep(0.2)
        await until(lambda: (target.client.budget.memory, target.client.budget.spooled) == (0, 0))


class Nest(Interface, wit="test:nest/nest@0.1.0"):
    @abstractmethod
    async def rows(self, count: U32) -> AsyncIterator[AsyncIterator[bytes]]: ...

    @abstractmethod
    async def names(self, count: U32) -> AsyncIterator[str]: ...

    @abstractmethod
    async def unsendable(self) -> tuple[Awaitable[U32], U32]: ...


class Nesting(Nest):
    async def rows(self, count: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async def row(number: int) -> AsyncIterator[bytes]:
            for _ in range(number):
                yield bytes([number])

        async def all_of_them() -> AsyncIterator[AsyncIterator[bytes]]:
            for number in range(count):
                yield row(number)

        return all_of_them()

    async def names(self, count: int) -> AsyncIterator[str]:
        async def all_of_them() -> AsyncIterator[str]:
            for number in range(count):
                yield f"name {number}"

        return all_of_them()

    async def unsendable(self) -> tuple[Awaitable[int], int]:
        return asyncio.sleep(1, 1), -1


async def test_streams_in_streams_are_sent_as_they_come(server: NatsServer) -> None:
    async with serving(server, Nesting()), asking(server, "prov") as target:
        rows = [b"".join([piece async for piece in row]) async for row in await Nest.at(target).rows(20)]
        assert rows == [bytes([number]) * number for number in range(20)]


async def test_many_small_items_go_in_few_messages(server: NatsServer) -> None:
    async with serving(server, Nesting()), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{STORE.partition('.wrpc.')[0]}.wrpc.0.0.1.test:nest/nest@0.1.0.names", bytes.fromhex("904e"))
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert len(caller.told) < 10_000 / 100


async def test_what_is_not_sent_is_let_go_of(server: NatsServer) -> None:
    async with serving(server, Nesting()), asking(server, "prov") as target:
        with pytest.raises(Internal):
            await Nest.at(target).unsendable()
