"""A dump of a keyvalue: what went in comes out, and what is not whole is refused before anything is taken from it as true."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import AlreadyExists, InvalidArgument, ProviderError, Unavailable, Unsupported
from providers.keyvalue.backend import Backend, Entry, Kind
from providers.keyvalue.backends.memory import MemoryBackend, MemoryStore
from providers.keyvalue.comparison import Comparison, compare
from providers.keyvalue.dump import DumpWriter, read_dump
from providers.keyvalue.transfer import Existing, Imported, export_entries, import_entries

NEXT_YEAR = int(time.time()) + 31_536_000
BYTES = st.binary(max_size=20) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
ITEMS = st.one_of(
    st.tuples(st.just(Kind.TEXT), st.tuples(BYTES)),
    st.tuples(st.just(Kind.LIST), st.lists(BYTES, min_size=1, max_size=8).map(tuple)),
    st.tuples(st.just(Kind.SET), st.lists(BYTES, min_size=1, max_size=8, unique=True).map(tuple)),
)
EXPIRES = st.just(0.0) | st.integers(NEXT_YEAR, NEXT_YEAR << 4).map(float) | st.floats(NEXT_YEAR, 1e11)
ENTRIES = st.dictionaries(BYTES, st.tuples(ITEMS, EXPIRES), max_size=12).map(
    lambda found: [Entry(key, kind, items, expires) for key, ((kind, items), expires) in found.items()]
)
ONE = Entry(b"a", Kind.TEXT, (b"1",))


def silent(count: int) -> None:
    pass


def dumped(entries: Iterable[Entry]) -> bytes:
    lines: list[bytes] = []
    dump = DumpWriter(lines.append)
    for entry in entries:
        dump.add(entry)
    dump.finish()
    return b"".join(lines)


def read(data: bytes) -> list[Entry]:
    return list(read_dump(io.BytesIO(data), "x.jsonl"))


def sealed(*lines: str, entries: int | None = None) -> bytes:
    """A dump written by hand, with a right checksum."""
    body = "".join(line + "\n" for line in ('{"format":"provider-keyvalue","version":1}', *lines)).encode()
    end = {"entries": len(lines) if entries is None else entries, "sha256": hashlib.sha256(body).hexdigest()}
    return body + b'{"end":' + json.dumps(end).encode() + b"}\n"


async def holding(*entries: Entry) -> Backend:
    backend = MemoryStore().namespace("")
    for entry in entries:
        await backend.put(entry)
    return backend


async def content(backend: Backend) -> list[Entry]:
    return sorted([entry async for entry in backend.entries()], key=lambda entry: entry.key)


async def compared(first: Backend, second: Backend) -> Comparison:
    return await compare(first, second, 20, silent)


@given(ENTRIES)
def test_what_is_written_is_what_is_read(entries: list[Entry]) -> None:
    assert read(dumped(entries)) == entries


@given(ENTRIES)
async def test_a_moved_store_passes_the_comparison(entries: list[Entry]) -> None:
    source, target = await holding(*entries), await holding()
    lines: list[bytes] = []
    assert await export_entries(source, lines.append, silent) == len(entries)
    done = await import_entries(target, read(b"".join(lines)), Existing.REFUSE, silent)
    found = await compared(source, target)
    assert (done, found.same, found.equal) == (Imported(len(entries)), True, len(entries))
    assert await content(target) == await content(source)


@given(ENTRIES, st.data())
def test_a_dump_that_was_cut_anywhere_is_refused(entries: list[Entry], data: st.DataObject) -> None:
    whole = dumped(entries)
    cut = data.draw(st.integers(0, len(whole) - 2))  # without its last line feed it is still whole
    with pytest.raises(InvalidArgument, match=r"^x\.jsonl"):
        read(whole[:cut])


@given(ENTRIES, st.data())
def test_a_dump_with_a_byte_changed_anywhere_is_refused(entries: list[Entry], data: st.DataObject) -> None:
    whole = bytearray(dumped(entries))
    place = data.draw(st.integers(0, len(whole) - 2))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProviderError, match=r"^x\.jsonl"):
        read(bytes(whole))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is no export of a keyvalue"),
        (b"\0\xff" * 9000, "is no export of a keyvalue"),
        (b'{"format":"something else","version":1}\n', "is no export of a keyvalue"),
        (b"[" * 9000, "is no export of a keyvalue"),
        (sealed("[" * 9000), "line 2 is no entry"),
        (sealed('{"key":"a","kind":"zset","items":["1"]}'), "line 2 is no entry"),
        (
            sealed('{"key":"a","kind":"text","value":"1"}', '{"key":"a","kind":"text"}'),
            "line 3 is no entry of an export: text has a `value`",
        ),
        (sealed('{"key":"a","kind":"text","items":["1"],"value":"1"}'), "text has a `value`, and no `items`"),
        (sealed('{"key":"a","kind":"list","value":"1"}'), "a list has `items`"),
        (sealed('{"key":"a","kind":"list","items":[]}'), "a list has `items`, one or more"),
        (sealed('{"key":"a","kind":"set","items":["1","1"]}'), "a member of the set is there twice"),
        (sealed('{"key":"a","kind":"text","value":"1","expires":-1}'), "expires"),
        (sealed('{"key":"a","kind":"text","value":"1","expires":1e400}'), "expires"),
        (sealed('{"key":"a","kind":"text","value":{"base64":"?"}}'), "base64"),
        (sealed('{"key":"a","kind":"text","value":"1","ttl":5}'), "ttl"),
        (sealed('{"key":"a","kind":"text","value":"1"}', entries=2), "has 1 entries, and its last line says 2"),
        (sealed() + b"\n", "goes on behind its last line"),
    ],
)
def test_what_is_no_export_is_refused_with_the_place(data: bytes, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^x\.jsonl") as refused:
        read(data)
    assert complaint in refused.value.message
    assert "\n" not in refused.value.message


def test_a_newer_version_is_refused_by_its_number() -> None:
    with pytest.raises(Unsupported, match="an export of version 2, and this program reads up to 1"):
        read(b'{"format":"provider-keyvalue","version":2,"more":true}\nwhatever\n')


def test_text_is_readable_and_bytes_are_base64() -> None:
    lines = dumped([Entry("schlüssel".encode(), Kind.TEXT, (b"42",), 1.5), Entry(b"\xff", Kind.LIST, (b"a", b"\xff\0"), 2.0)]).split(b"\n")
    assert [json.loads(line) for line in lines[:3]] == [
        {"format": "provider-keyvalue", "version": 1},
        {"key": "schlüssel", "kind": "text", "value": "42", "expires": 1.5},
        {"key": {"base64": "/w=="}, "kind": "list", "items": ["a", {"base64": "/wA="}], "expires": 2},
    ]


async def test_an_import_refuses_a_namespace_that_holds_something() -> None:
    target = await holding(ONE)
    with pytest.raises(AlreadyExists, match=r"--replace .* --keep"):
        await import_entries(target, [Entry(b"b", Kind.TEXT, (b"2",))], Existing.REFUSE, silent)
    assert await content(target) == [ONE]


@pytest.mark.parametrize(("existing", "value", "done"), [(Existing.REPLACE, b"9", Imported(2)), (Existing.KEEP, b"1", Imported(1, 1))])
async def test_replace_and_keep_decide_about_keys_that_exist(existing: Existing, value: bytes, done: Imported) -> None:
    target = await holding(ONE)
    more = Entry(b"b", Kind.LIST, (b"2",))
    assert await import_entries(target, [Entry(b"a", Kind.TEXT, (b"9",)), more], existing, silent) == done
    assert await content(target) == [Entry(b"a", Kind.TEXT, (value,)), more]


async def test_what_has_expired_since_the_export_is_left_out() -> None:
    target = await holding()
    assert await import_entries(target, [ONE, Entry(b"b", Kind.TEXT, (b"2",), 1.0)], Existing.REFUSE, silent) == Imported(1, 0, 1)
    assert await content(target) == [ONE]


async def test_an_import_that_fails_on_the_way_says_how_far_it_came() -> None:
    class Failing(MemoryBackend):
        async def put(self, entry: Entry) -> None:
            if entry.key == b"70":
                raise Unavailable("the server went away")
            await super().put(entry)

    store = MemoryStore().namespace("")
    assert isinstance(store, MemoryBackend)
    entries = [Entry(b"%d" % number, Kind.TEXT, (b"",)) for number in range(1000)]
    with pytest.raises(Unavailable, match="the server went away; by then 95 entries were written, and they stay"):
        await import_entries(Failing(store._space), entries, Existing.REFUSE, silent)  # noqa: SLF001 # a store that fails by design
    assert len(await content(store)) == 95


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (None, "'a' is only in the first"),
        (Entry(b"a", Kind.TEXT, (b"2",)), "'a' holds another value in the second"),
        (Entry(b"a", Kind.LIST, (b"1",)), "'a' holds text in the first and a list in the second"),
        (Entry(b"a", Kind.TEXT, (b"1",), 4102444800.0), "'a' expires never in the first and at 2100-01-01T00:00:00Z in the second"),
    ],
)
async def test_a_comparison_tells_what_differs(other: Entry | None, told: str) -> None:
    same = Entry(b"b", Kind.SET, (b"1", b"2"))
    found = await compared(await holding(ONE, same), await holding(Entry(b"b", Kind.SET, (b"2", b"1")), *([other] if other else [])))
    assert (found.same, found.equal, found.lines) == (False, 1, [told])


async def test_the_order_of_a_list_counts_and_a_second_of_expiry_does_not() -> None:
    first = await holding(Entry(b"a", Kind.LIST, (b"1", b"2")), Entry(b"b", Kind.TEXT, (b"",), NEXT_YEAR + 0.5))
    second = await holding(Entry(b"a", Kind.LIST, (b"2", b"1")), Entry(b"b", Kind.TEXT, (b"",), NEXT_YEAR))
    found = await compared(first, second)
    assert (found.equal, found.different, found.lines) == (1, 1, ["'a' holds another list in the second"])


async def test_items_are_not_taken_for_their_concatenation() -> None:
    first, second = await holding(Entry(b"a", Kind.LIST, (b"12", b"3"))), await holding(Entry(b"a", Kind.LIST, (b"1", b"23")))
    assert (await compared(first, second)).different == 1


async def test_many_differences_are_counted_and_the_first_are_told() -> None:
    many = [Entry(b"%d" % number, Kind.TEXT, (b"",)) for number in range(100)]
    found = await compare(await holding(), await holding(*many), 3, silent)
    assert (found.only_second, len(found.lines)) == (100, 3)


async def test_a_key_whose_time_ends_during_the_comparison_is_no_difference() -> None:
    soon = Entry(b"a", Kind.TEXT, (b"",), time.time() + 0.5)
    assert (await compared(await holding(soon), await holding())).same
    assert (await compared(await holding(), await holding(soon))).same
