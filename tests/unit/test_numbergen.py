"""Numbergen's numbers: evenly spread, within their bounds, and refused where the bounds are wrong."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import InvalidArgument
from provider_sdk.contracts.numbergen import BUILTIN_CONTRACT, NumberGen
from providers import numbergen
from providers.numbergen.provider import SystemNumbers

HIGHEST = 2**32 - 1
U32S = st.integers(0, HIGHEST)


def chi_square(counts: Counter[int], values: range, drawn: int) -> float:
    expected = drawn / len(values)
    return sum((counts[value] - expected) ** 2 / expected for value in values)


async def test_every_number_of_a_range_is_as_likely_as_the_others() -> None:
    numbers, values, drawn = SystemNumbers(), range(10, 17), 14_000
    counts = Counter([await numbers.random_in_range(10, 16) for _ in range(drawn)])
    assert set(counts) == set(values)
    # Six degrees of freedom: a fair generator exceeds 45 once in twenty million runs.
    assert chi_square(counts, values, drawn) < 45


async def test_a_range_of_two_thirds_of_all_numbers_shows_no_modulo_bias() -> None:
    numbers, third, drawn = SystemNumbers(), (HIGHEST + 1) // 3, 9_000
    # A remainder of 32 bits would fall into the first half of such a range twice as often as into the second.
    counts = Counter([await numbers.random_in_range(0, 2 * third - 1) // third for _ in range(drawn)])
    assert chi_square(counts, range(2), drawn) < 30


@given(U32S, U32S)
async def test_a_number_lies_within_its_bounds_or_the_bounds_are_refused(low: int, high: int) -> None:
    if low <= high:
        assert low <= await SystemNumbers().random_in_range(low, high) <= high
    else:
        with pytest.raises(InvalidArgument, match=f"^min {low} is above max {high}$"):
            await SystemNumbers().random_in_range(low, high)


@pytest.mark.parametrize("bound", [0, 1, 2**31, HIGHEST])
async def test_equal_bounds_leave_one_number(bound: int) -> None:
    assert await SystemNumbers().random_in_range(bound, bound) == bound


async def test_both_bounds_are_included() -> None:
    assert {await SystemNumbers().random_in_range(HIGHEST - 1, HIGHEST) for _ in range(100)} == {HIGHEST - 1, HIGHEST}
    assert {await SystemNumbers().random_in_range(0, 1) for _ in range(100)} == {0, 1}


async def test_the_whole_range_is_used() -> None:
    drawn = [await SystemNumbers().random_in_range(0, HIGHEST) for _ in range(200)]
    assert min(drawn) < HIGHEST // 4 < HIGHEST // 4 * 3 < max(drawn)


async def test_random32_uses_every_bit() -> None:
    drawn = [await SystemNumbers().random32() for _ in range(200)]
    assert all(0 <= number <= HIGHEST for number in drawn)
    for bit in range(32):
        assert {number >> bit & 1 for number in drawn} == {0, 1}


async def test_identifiers_are_lower_case_random_uuids_and_differ() -> None:
    drawn = {await SystemNumbers().generate_guid() for _ in range(100)}
    assert len(drawn) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", guid) for guid in drawn)


def test_the_operations_have_the_names_of_the_contract() -> None:
    assert [operation.name for operation in NumberGen.operations()] == [
        "NumberGen.GenerateGuid",
        "NumberGen.RandomInRange",
        "NumberGen.Random32",
    ]


def test_the_manifest_names_both_contract_ids() -> None:
    manifest = tomllib.loads((Path(numbergen.__file__).parent / "provider.toml").read_text())
    assert manifest["contracts"] == [NumberGen.__identity__.contract, BUILTIN_CONTRACT]
