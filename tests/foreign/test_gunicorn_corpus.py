"""The requests of gunicorn's source distribution, sent to a real httpserver: what the corpus calls valid, invalid, and where we differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.foreign import corpus
from tests.foreign.corpus import Case
from tests.foreign.differences import DIFFERENCES, Ours, table
from tests.foreign.door import PATIENT, SOON, Doors, Outcome, each, end_to_end, told, ways

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).parents[2] / "docs" / "http-parsing.md"

VALID = """
    001 002 003 004 005 006 007 008 010 011 012 013 014 015 017 018 019 020 021 022 023 024 025 025_line 026 028 029 030 031 031compat
    031compat2 040 040_compat 099 100 compat_obs_fold compat_obs_fold_huge padding_01 pp_01 pp_02 pp_03 pp_04 pp_05
    rfc9110_body_framing_get_cl_nonzero_01 rfc9110_body_framing_get_cl_zero_01 rfc9110_body_framing_http10_cl_01
    rfc9110_field_name_special_chars_01 rfc9110_field_value_htab_trim_01 rfc9110_field_value_obs_text_01 rfc9112_chunked_ext_quoted_01
    rfc9112_chunked_size_leading_zeros_01 rfc9112_chunked_size_uppercase_hex_01 rfc9112_leading_crlf_01 rfc9112_smuggle_gzip_chunked_01
    rfc9112_smuggle_te_identity_chunked_01 rfc9112_target_absolute_01 rfc9112_target_absolute_https_01 rfc9112_target_absolute_ipv6_01
    rfc9112_target_absolute_userinfo_01 rfc9112_target_asterisk_options_01 rfc9112_target_authority_connect_01
    rfc9112_target_authority_ipv6_01
"""
INVALID = """
    001 002 003 003b 003c 004 005 006 007 008 009 010 011 012 013 014 015 016 017 018 019 020 021 022 023 024 040 041 042 chunked_01
    chunked_02 chunked_03 chunked_04 chunked_05 chunked_06 chunked_07 chunked_08 chunked_09 chunked_10 chunked_11 chunked_12 chunked_13
    chunked_14 invalid_field_value_01 limit_header_default_01 nonascii_01 nonascii_02 nonascii_03 nonascii_04 obs_fold_01 pp_01 pp_02
    pp_03 prefix_01 prefix_02 prefix_03 prefix_04 prefix_05 prefix_06 rfc9110_field_value_ctl_bel_01 rfc9110_field_value_ctl_del_01
    rfc9110_trailer_forbidden_cl_01 rfc9110_trailer_forbidden_host_01 rfc9110_trailer_forbidden_te_01 rfc9112_bare_lf_01
    rfc9112_chunked_missing_final_crlf_01 rfc9112_chunked_size_minus_sign_01 rfc9112_chunked_size_plus_sign_01 rfc9112_leading_crlf_02
    rfc9112_smuggle_cl_list_form_01 rfc9112_smuggle_cl_te_chunked_01 rfc9112_target_asterisk_non_options_01
    rfc9112_target_authority_non_connect_01 rfc9112_target_non_ascii_01 rfc9112_target_non_ascii_02 rfc9112_target_nul_01
    rfc9112_target_relative_01 rfc9112_te_identity_with_cl_01 rfc9112_te_not_chunked_final_01 version_01 version_02
"""
NAMES = [f"{kind}/{name}" for kind, names in (("valid", VALID), ("invalid", INVALID)) for name in names.split()]
INCOMPLETE = ("invalid/001", "invalid/rfc9112_chunked_missing_final_crlf_01")
WITHOUT_HOST = "004 005 006 007 010 011 012 013 014 018 021 023 025 025_line 028 029 030 031 031compat 031compat2 100"

SETTINGS_THAT_CHANGE_NOTHING = {
    "valid/040_compat": "names are taken as they are, as by us",
    "valid/pp_03": "no PROXY line is there",
    "invalid/013": "a folded line is refused, before its length is looked at",
    "invalid/pp_01": "a PROXY line is no request line, right or wrong",
    "invalid/pp_02": "as above",
    "invalid/pp_03": "as above",
}


def agreed(kind: str) -> list[str]:
    return [name for name in NAMES if name.startswith(kind) and name not in DIFFERENCES and name not in INCOMPLETE]


async def sent(doors: Doors, case: Case, *, within: float = PATIENT) -> list[Outcome]:
    return await doors.every_way(ways(case.data), answers=len(case.requests) or 1, within=within)


def as_in(case: Case) -> Callable[[Outcome], bool]:
    """Whether the actor saw just the requests of the case, and each was answered."""
    expected = tuple(map(end_to_end, case.requests))
    return lambda outcome: outcome.requests == expected and outcome.statuses == (200,) * len(outcome.seen)


def refused(outcome: Outcome) -> bool:
    return outcome.refused


def awaited(outcome: Outcome) -> bool:
    return not outcome.seen and not outcome.statuses and not outcome.closed


async def test_every_file_of_the_corpus_is_a_case(folder: Path) -> None:
    assert corpus.names(folder) == sorted(NAMES)
    assert DIFFERENCES.keys() <= set(NAMES)


async def test_a_file_that_is_about_a_setting_of_gunicorn_is_a_difference_or_has_a_reason_why_not(folder: Path) -> None:
    set_otherwise = {name for name in NAMES if corpus.read(folder, name).settings}
    assert set_otherwise - DIFFERENCES.keys() == SETTINGS_THAT_CHANGE_NOTHING.keys()


@pytest.mark.parametrize("name", agreed("valid"))
async def test_a_valid_request_reaches_the_actor_as_the_corpus_has_it(name: str, folder: Path, doors: Doors) -> None:
    case = corpus.with_host(corpus.read(folder, name))
    assert case.requests and not case.trailers
    each(await sent(doors, case), as_in(case))


@pytest.mark.parametrize("name", agreed("invalid"))
async def test_an_invalid_request_is_refused_and_the_actor_sees_nothing_of_it(name: str, folder: Path, doors: Doors) -> None:
    each(await sent(doors, corpus.with_host(corpus.read(folder, name))), refused)


@pytest.mark.parametrize("name", INCOMPLETE)
async def test_of_half_a_request_the_actor_sees_nothing(name: str, folder: Path, doors: Doors) -> None:
    case = corpus.with_host(corpus.read(folder, name))
    assert case.error in ("NoMoreData", "ChunkMissingTerminator")
    each(await sent(doors, case, within=SOON), awaited)


@pytest.mark.parametrize("name", [f"valid/{name}" for name in WITHOUT_HOST.split()])
async def test_a_request_of_http_1_1_without_host_is_refused(name: str, folder: Path, doors: Doors) -> None:
    case = corpus.read(folder, name)
    assert case != corpus.with_host(case)
    each(await doors.every_way(ways(case.data)), refused)


@pytest.mark.parametrize("name", DIFFERENCES)
async def test_a_difference_to_the_corpus_is_there_and_is_what_the_table_says(name: str, folder: Path, doors: Doors) -> None:
    case, difference = corpus.with_host(corpus.read(folder, name)), DIFFERENCES[name]
    outcomes = await sent(doors, case, within=SOON if difference.ours is Ours.AWAITED else PATIENT)
    match difference.ours:
        case Ours.REFUSED:
            assert case.requests
            each(outcomes, refused)
        case Ours.AWAITED:
            assert case.requests
            each(outcomes, awaited)
        case Ours.FIRST_ONLY:
            first = replace(case, requests=case.requests[:1])
            each(outcomes, lambda outcome: as_in(first)(outcome) and outcome.closed and outcome.seen == outcome.requests)
        case Ours.FIRST_LOST:
            each(outcomes[:1], refused)
            each(outcomes, lambda outcome: outcome.refused or as_in(case)(outcome))
        case Ours.READ:
            expected = difference.saw or tuple(map(told, case.requests))
            each(outcomes, lambda outcome: tuple(map(told, outcome.requests)) == expected and set(outcome.statuses) == {200})
            assert case.error or case.trailers or not any(map(as_in(case), outcomes))


async def test_the_page_has_the_table_of_differences() -> None:
    assert table() in PAGE.read_text("utf-8")
