"""How the blobstore spells names on disk: one to one, safe on every file system, usual names as they are."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.blobstore.backends.local.names import LONGEST_FILE, Parts, meaning, spelled, spellings

ODD = ["", ".", "..", "...", ".hidden", "a.", "a ", " ", "%", "%41", "%2e", "a%", "a%file", "a%folder", "a%more", "%empty", "%empty%file"]
ODD += [
    "CON",
    "con",
    "nul.txt",
    "Com1",
    "COM¹",
    "lpt9.tar.gz",
    "aux ",
    "CONIN$",
    "a:b",
    "a\\b",
    "a\0b",
    "\x7f",
    "é",
    "e\u0301",
    "É",
    "ß",
    "SS",
    "İ",
]
ODD += [
    "x" * 240,
    "x" * 241,
    "x" * 1024,
    "é" * 120,
    "é" * 121,
    "é" * 512,
    "\x01" * 1024,
    "%" * 1024,
    "." * 1024,
    "X" * 300,
    "x" * 236 + "CON",
]
USUAL = [
    "report.pdf",
    "a b",
    "A-Z_09",
    "naïve.txt",
    "日本語",
    "x'y",
    "(1)",
    "a=b&c",
    "~home",
    "#tag",
    "a,b;c",
    "[x]{y}",
    "100$",
    "a+b",
    "no.tes",
]

# Names as S3 limits them; surrogates are no text.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=60),
    st.text("aA%.éE\u0301 Cc", max_size=6),
    st.text("aé\x01%.", min_size=80, max_size=500),
    st.sampled_from(ODD),
).filter(lambda text: len(text.encode()) <= 1024)
modes = st.booleans()


def met(parts: Parts) -> str:
    """What a file system sees that tells neither capitals nor forms of letters apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", "/".join(parts)).casefold())


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_name_is_spelled_as_it_is(name: str) -> None:
    assert spelled(name, folding=False) == (name,)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("", "%empty"),
        (".", "%2e"),
        ("..", "%2e%2e"),
        (".hidden", "%2ehidden"),
        ("a.", "a%2e"),
        ("a ", "a%20"),
        ("50%", "50%25"),
        ("a:b", "a%3ab"),
        ("CON", "%43ON"),
        ("nul.txt", "%6eul.txt"),
        ("a\0b", "a%00b"),
        ("a/b", "a%2fb"),
    ],
)
def test_what_a_file_system_may_not_take_is_spelled_in_hexadecimal(name: str, spelling: str) -> None:
    assert spelled(name, folding=False) == (spelling,)


def test_capitals_and_accents_are_spelled_in_hexadecimal_where_the_file_system_does_not_tell_them_apart() -> None:
    assert spelled("Aé1", folding=True) == ("%41%c3%a91",)


def test_a_part_too_long_for_a_file_is_spelled_in_folders() -> None:
    assert spelled("x" * 300, folding=False) == ("x" * 236 + "%more", "x" * 64)


@given(texts, modes, modes)
def test_a_spelling_means_the_name_that_it_is_of(name: str, folding: bool, other: bool) -> None:
    for folder in (False, True):
        found = meaning(spelled(name, folding=folding), folding=other, folder=folder)
        assert found is not None and found.text == name and not found.partly


@given(st.lists(texts, min_size=2, max_size=8, unique=True), st.data())
def test_no_two_names_have_one_spelling_even_of_both_kinds(names: list[str], data: st.DataObject) -> None:
    spelling = [spelled(name, folding=data.draw(modes)) for name in names]
    assert len(set(spelling)) == len(names)


@given(st.lists(texts, min_size=2, max_size=8, unique=True))
@example(["A", "a"])
@example(["é", "e\u0301", "É"])
@example(["ß", "ss", "SS"])
@example(["K", "\u212a", "k"])
def test_no_two_names_meet_where_the_file_system_does_not_tell_letters_apart(names: list[str]) -> None:
    assert len({met(spelled(name, folding=True)) for name in names}) == len(names)


@given(st.lists(texts, min_size=2, max_size=5, unique=True), modes)
def test_no_name_is_looked_for_where_another_is(names: list[str], folding: bool) -> None:
    for folder in (False, True):
        places = [set(spellings(name, folding=folding, folder=folder)) for name in names]
        assert sum(map(len, places)) == len(set().union(*places))


@given(texts, modes)
def test_every_file_of_a_spelling_is_safe(name: str, folding: bool) -> None:
    for folder in (False, True):
        ours = set(spellings(name, folding=folding, folder=folder)) - {(name,)} | {spelled(name, folding=folding)}
        for part in (part for parts in ours for part in parts):
            assert len(part.encode()) <= LONGEST_FILE - len("..meta")
            assert not part.startswith(".") and not part.endswith((".", " "))
            assert not re.search(r'[\x00-\x1f\x7f<>:"\\|?*/]', part)
            assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part, re.IGNORECASE | re.DOTALL)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60), modes)
@example("100%", False)
@example("a%3ab", False)
@example("a%2fb", False)
@example("a:b", True)
@example("README", True)
def test_a_file_that_another_program_named_is_found_by_the_name_that_it_is_listed_under(file: str, folding: bool) -> None:
    for folder in (False, True):
        found = meaning((file,), folding=folding, folder=folder)
        if found is not None and not found.partly:
            assert (file,) in spellings(found.text, folding=folding, folder=folder)


@pytest.mark.parametrize("file", [".", "..", ".hidden", ".a.meta", "a\udcff"])
def test_what_is_hidden_or_no_text_is_no_name(file: str) -> None:
    assert meaning((file,), folding=False, folder=False) is None


@pytest.mark.parametrize("file", ["100%", "a:b", "a%2fb", "a%zz", "x" * 255, "a%3Ab", "%file"])
def test_a_file_that_no_name_is_spelled_as_has_its_own_name(file: str) -> None:
    found = meaning((file,), folding=False, folder=False)
    assert found is not None and found.text == file


def test_a_slash_is_a_letter_in_the_name_of_a_container_alone() -> None:
    assert meaning(("a%2fb",), folding=False, folder=True, slashes=True).text == "a/b"  # type: ignore[union-attr]
    assert meaning(("a%2fb",), folding=False, folder=True).text == "a%2fb"  # type: ignore[union-attr]
