"""The suite for keyvalue as a product: a third party's store passes it as the page says, and each kind of fault is found."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from provider_sdk import ProviderError
from provider_sdk.contracts.keyvalue import GetResponse, KeyValue
from provider_sdk.testing.conformance.keyvalue import Capability, KeyValueConformance
from tests.contract.acme import AcmeKeyValue, AcmeStore

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"


def snippet() -> str:
    found: list[str] = [
        text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "KeyValueConformance" in text
    ]
    assert len(found) == 1
    return found[0]


def test_a_third_partys_store_passes_with_the_lines_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text((Path(__file__).parent / "acme.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_acme.py").write_text(snippet(), "utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n", "utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.splitlines()[-1]
    count = re.match(r"(\d+) passed in ", summary)
    assert count and int(count[1]) > 200, summary


class Acme(KeyValueConformance):
    """As on the page, and `SHARED` so that histories are of two instances."""

    __test__ = False

    capabilities = frozenset({Capability.ATOMIC, Capability.NAMESPACES, Capability.SHARED, Capability.DURABLE})
    examples = 60
    store_class: type[AcmeKeyValue] = AcmeKeyValue

    @asynccontextmanager
    async def store(self) -> AsyncIterator[KeyValue]:
        self.acme = AcmeStore()
        yield self.store_class(self.acme, "")

    @asynccontextmanager
    async def second(self) -> AsyncIterator[KeyValue]:
        yield self.store_class(self.acme, "")

    reopened = second

    @asynccontextmanager
    async def other_namespace(self, name: str) -> AsyncIterator[KeyValue]:
        yield self.store_class(self.acme, f"other {name}")


class Torn(AcmeKeyValue):
    async def increment(self, key: str, value: int) -> int:
        before = (await self.get(key)).value or "0"
        await asyncio.sleep(0)
        await self.set(key, str(int(before) + value), 0)
        return int(before) + value


class Stale(AcmeKeyValue):
    """Answers from a copy of its own once in a while."""

    def __init__(self, store: AcmeStore, namespace: str) -> None:
        super().__init__(store, namespace)
        self.copies: dict[str, list[GetResponse]] = {}

    async def get(self, key: str) -> GetResponse:
        await asyncio.sleep(0)
        copies = self.copies.setdefault(key, [])
        copies.append(await super().get(key))
        return copies[-3] if len(copies) % 5 == 4 else copies[-1]


class IgnoresExpiry(AcmeKeyValue):
    async def set(self, key: str, value: str, expires: int) -> None:
        await super().set(key, value, 0)


class WrapsAround(AcmeKeyValue):
    async def increment(self, key: str, value: int) -> int:
        before = await super().increment(key, 0)
        total = (before + value + 2**31) % 2**32 - 2**31
        self.data[key] = str(total)
        return total


class SwallowsErrors(AcmeKeyValue):
    """As the official provider does."""

    async def increment(self, key: str, value: int) -> int:
        try:
            return await super().increment(key, value)
        except ProviderError:
            return 0

    async def set_query(self, set_name: str) -> list[str]:
        try:
            return await super().set_query(set_name)
        except ProviderError:
            return []


class KeepsEmptySets(AcmeKeyValue):
    def keep(self, key: str, value: Any) -> None:
        self.data[key] = value


class RemovesAllEqualItems(AcmeKeyValue):
    async def list_del(self, list_name: str, value: str) -> bool:
        removed = False
        while await super().list_del(list_name, value):
            removed = True
        return removed


class LeavesOutTheStop(AcmeKeyValue):
    async def list_range(self, list_name: str, start: int, stop: int) -> list[str]:
        return (self.held(list_name, list) or [])[start:stop]


class FoldsCase(AcmeKeyValue):
    async def set(self, key: str, value: str, expires: int) -> None:
        await super().set(key.lower(), value, expires)

    async def get(self, key: str) -> GetResponse:
        return await super().get(key.lower())


class CutsAtNul(AcmeKeyValue):
    async def set(self, key: str, value: str, expires: int) -> None:
        await super().set(key, value.partition("\0")[0], expires)


class EmptyIsMissing(AcmeKeyValue):
    async def get(self, key: str) -> GetResponse:
        found = await super().get(key)
        return GetResponse(found.value, exists=bool(found.value))


class DeletesByPattern(AcmeKeyValue):
    async def delete(self, key: str) -> bool:
        found = [name for name in self.data if name == key or (key.endswith("*") and name.startswith(key[:-1]))]
        for name in found:
            del self.data[name]
        return bool(found)


class TwoKindsUnderOneKey(AcmeKeyValue):
    async def list_add(self, list_name: str, value: str) -> int:
        return await super().list_add(f"list:{list_name}", value)


class OneNamespace(AcmeKeyValue):
    def __init__(self, store: AcmeStore, namespace: str) -> None:
        super().__init__(store, "")


class JoinsNames(AcmeKeyValue):
    """Namespaces as prefixes that are not told from keys."""

    def __init__(self, store: AcmeStore, namespace: str) -> None:
        super().__init__(store, "")
        self.prefix = namespace.removeprefix("other ")

    def held(self, key: str, kind: type[Any]) -> Any:
        return super().held(self.prefix + key, kind)

    async def set(self, key: str, value: str, expires: int) -> None:
        await super().set(self.prefix + key, value, expires)

    async def contains(self, key: str) -> bool:
        return await super().contains(self.prefix + key)


class OnlyTheFirstSet(AcmeKeyValue):
    async def set_union(self, set_names: list[str]) -> list[str]:
        return await super().set_union(set_names[:2])


class GivesMembersTwice(AcmeKeyValue):
    async def set_union(self, set_names: list[str]) -> list[str]:
        return [member for name in set_names for member in await self.set_query(name)]


class CountsAddsTwice(AcmeKeyValue):
    async def set_add(self, set_name: str, value: str) -> int:
        await super().set_add(set_name, value)
        return 1


class ForgetsTheLastWrite(AcmeKeyValue):
    """What is opened again lacks a key."""

    def __init__(self, store: AcmeStore, namespace: str) -> None:
        super().__init__(store, namespace)
        if self.data:
            self.data.popitem()


FAULTS = [
    (Torn, "test_increments_of_many_callers_lose_none_and_each_sees_its_own_sum"),
    (Torn, "test_some_order_of_the_calls_explains_every_answer"),
    (Stale, "test_some_order_of_the_calls_explains_every_answer"),
    (IgnoresExpiry, "test_without_expiry_a_time_is_refused_and_nothing_is_stored"),
    (WrapsAround, "test_any_sequence_of_operations_does_what_the_model_does"),
    (SwallowsErrors, "test_any_sequence_of_operations_does_what_the_model_does"),
    (KeepsEmptySets, "test_a_set_whose_last_member_is_removed_does_not_exist"),
    (KeepsEmptySets, "test_any_sequence_of_operations_does_what_the_model_does"),
    (RemovesAllEqualItems, "test_list_del_removes_the_first_equal_item_and_no_other"),
    (LeavesOutTheStop, "test_every_range_is_what_a_python_slice_gives"),
    (FoldsCase, "test_no_two_keys_are_one"),
    (CutsAtNul, "test_text_comes_back_as_it_was_character_by_character"),
    (EmptyIsMissing, "test_the_empty_text_is_not_a_missing_key"),
    (DeletesByPattern, "test_a_key_is_removed_alone"),
    (TwoKindsUnderOneKey, "test_any_sequence_of_operations_does_what_the_model_does"),
    (OneNamespace, "test_namespaces_do_not_see_each_other_whatever_their_names"),
    (JoinsNames, "test_a_name_and_a_key_do_not_run_into_each_other"),
    (OnlyTheFirstSet, "test_a_union_has_what_is_in_any_of_the_sets"),
    (GivesMembersTwice, "test_a_union_has_what_is_in_any_of_the_sets"),
    (CountsAddsTwice, "test_of_many_callers_who_do_the_same_one_did_it"),
    (ForgetsTheLastWrite, "test_what_was_written_is_there_when_the_store_is_opened_again"),
]


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """A fault is found, not made small, and not remembered for the next run."""
    settings.register_profile("unshrunk", phases=[Phase.generate], derandomize=True, database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(("fault", "test"), FAULTS)
async def test_a_fault_is_found(fault: type[AcmeKeyValue], test: str) -> None:
    suite = Acme()
    suite.store_class = fault
    with pytest.raises((AssertionError, ExceptionGroup, pytest.fail.Exception, ProviderError)):
        await getattr(suite, test)()


@pytest.mark.parametrize("test", sorted({test for _, test in FAULTS}))
async def test_the_store_without_the_fault_passes(test: str) -> None:
    await getattr(Acme(), test)()


def collected(suite: type[KeyValueConformance]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))}


def test_a_capability_that_is_not_declared_brings_its_counterpart() -> None:
    class Plain(KeyValueConformance):
        __test__ = False

    durable, gone = (
        "test_what_was_written_is_there_when_the_store_is_opened_again",
        "test_what_is_not_durable_is_gone_when_the_store_is_opened_again",
    )
    refused = "test_without_expiry_a_time_is_refused_and_nothing_is_stored"
    assert {durable, refused} & collected(Acme) == {durable, refused}
    assert {durable, gone, refused} & collected(Plain) == {refused}

    class Forgetful(Plain):
        reopened = Plain.store

    assert {durable, gone, refused} & collected(Forgetful) == {gone, refused}

    class Durable(Forgetful):
        capabilities = frozenset({Capability.DURABLE, Capability.EXPIRY})

    assert {durable, gone, refused} & collected(Durable) == {durable}


def test_a_capability_without_its_method_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Promising declares .* durable: reopened\(\), shared: second\(\)"):

        class Promising(KeyValueConformance):
            capabilities = frozenset({Capability.DURABLE, Capability.SHARED})
