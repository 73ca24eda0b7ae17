"""WIT text read: what it says, what other files it leads to, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_sdk.cli.wit.model import Alias, Builtin, Compound, Function, Package, Part, Ref, Resource, Use, WitInterface, refs
from provider_sdk.cli.wit.packages import Packages, read_packages
from provider_sdk.cli.wit.parser import parse
from provider_sdk.cli.wit.text import package_text
from provider_sdk.errors import InvalidArgument, NotFound
from tests.tiers import scale
from tests.unit.wit_packages import packages

SAMPLES = Path(__file__).with_name("wit")
U8, STRING = Builtin("u8"), Builtin("string")


def interface(body: str) -> WitInterface:
    """The interface `x` with that body."""
    (package,) = parse(f"package a:b;\ninterface x {{\n{body}\n}}", "x.wit")
    return package.interfaces[0]


def read(body: str) -> Packages:
    """The package with that body, checked."""
    return Packages(parse(f"package a:b;\n{body}", "x.wit"), [])


def test_types_of_every_kind_are_read() -> None:
    found = interface(
        "record r { a: u8, b: option<string> } variant v { a, b(u8), } enum e { a } flags f { a } type t = list<u8>; resource s;"
    )
    assert found.types == (
        Compound("record", "r", (Part("a", U8), Part("b", Builtin("option", (STRING,))))),
        Compound("variant", "v", (Part("a"), Part("b", U8))),
        Compound("enum", "e", (Part("a"),)),
        Compound("flags", "f", (Part("a"),)),
        Alias("t", Builtin("list", (U8,))),
        Resource("s"),
    )


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("result", Builtin("result", (None, None))),
        ("result<u8>", Builtin("result", (U8, None))),
        ("result<_, u8>", Builtin("result", (None, U8))),
        ("tuple<u8, string,>", Builtin("tuple", (U8, STRING))),
        ("stream<u8>", Builtin("stream", (U8,))),
        ("future", Builtin("future", (None,))),
        ("own<r>", Ref("r")),
        ("borrow<r>", Builtin("borrow", (Ref("r"),))),
        ("%list", Ref("list")),
    ],
)
def test_types_with_arguments_are_read(written: str, type_: Builtin | Ref) -> None:
    assert interface(f"f: func() -> {written};").functions[0].result == type_


def test_functions_of_a_resource_have_the_names_of_the_wire() -> None:
    found = interface("resource r { constructor(a: u8); add: func(b: u8) -> u8; make: static func(); } f: async func();")
    assert found.functions == (
        Function("[constructor]r", (("a", U8),), None),
        Function("[method]r.add", (("b", U8),), U8),
        Function("[static]r.make", (), None),
        Function("f", (), None),
    )


def test_documentation_goes_with_what_it_stands_before() -> None:
    text = """
/// Of the package.
package a:b;
/// One.
///   Two.
interface x {
  /** Three. */ @since(version = 1.0.0)
  f: func();
  // None.
  g: func();
}
"""
    (package,) = parse(text, "x.wit")
    assert package.docs == "Of the package."
    assert package.interfaces[0].docs == "One.\n  Two."
    assert [item.docs for item in package.interfaces[0].functions] == ["Three.", ""]


def test_what_is_unstable_is_left_out_and_other_marks_mean_nothing() -> None:
    found = interface("@unstable(feature = x) f: func(); @since(version = 1.2.3) @deprecated(version = 1.3.0) g: func();")
    assert [item.name for item in found.functions] == ["g"]


def test_worlds_are_passed_over() -> None:
    (package,) = parse("package a:b@1.0.0-rc.1; world w { import x; export y: interface { f: func(); } } interface x {}", "x.wit")
    assert (package.id, [item.name for item in package.interfaces]) == ("a:b@1.0.0-rc.1", ["x"])


def test_packages_in_braces_are_packages_of_their_own() -> None:
    found = parse("package a:b; package a:c@1.0.0 { interface x {} } interface y {}", "x.wit")
    assert [(item.id, len(item.interfaces)) for item in found] == [("a:b", 1), ("a:c@1.0.0", 1)]


def test_an_interface_is_used_by_the_name_that_the_file_gives_it() -> None:
    (package,) = parse("package a:b; use c:d/e@1.0.0 as other; interface x { use other.{t as u}; }", "x.wit")
    assert package.interfaces[0].uses == (Use("c:d/e@1.0.0", "t", "u"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package a:b", "1:12: expected `;`, found the end of the file"),
        ("package a;", "1:10: expected `:`, found `;`"),
        ("package a:b@1;", "1:13: expected a version such as 1.2.3, found `1`"),
        ("package a:b;\nrecord x {}", "2:1: expected `interface`, `world`, `use` or `package`, found `record`"),
        ("package a:b;\ninterface x {\n  f: func()\n}", "4:1: expected `;`, found `}`"),
        ("package a:b;\ninterface x {\n  f: func(a u8);\n}", "3:13: expected `:`, found `u8`"),
        ("package a:b;\ninterface x {\n  record r { a: u8 b: u8 }\n}", "3:20: expected `,` or `}`, found `b`"),
        ("package a:b;\ninterface x {\n  record r {}\n}", "3:12: expected a record with something in it"),
        ("package a:b;\ninterface x {\n  type: func();\n}", "3:7: expected a name, found `:`"),
        ("package a:b;\ninterface x {\n  list: func();\n}", "3:3: expected a type, a function, `use` or `}`, found `list`"),
        ("package a:b;\ninterface x {\n  f: func(from: u8);\n}", "3:11: expected a parameter (a keyword is written `%from`), found `from`"),
        ("package a:b;\ninterface x {\n  f: func() -> list;\n}", "3:16: expected list with 1 type in < >"),
        ("package a:b;\ninterface x {\n  f: func() -> enum;\n}", "3:16: expected a type, found `enum`"),
        (
            "package a:b;\ninterface x {\n  f: func() -> list<u8, 4>;\n}",
            "3:25: expected `>`: a list of fixed length cannot go to a provider, found `4`",
        ),
        ("package a:b;\ninterface x {\n  f: func() -> map<u8, u8>;\n}", "3:16: a map cannot go to a provider: expected another type"),
        ("package a:b;\ninterface x {\n  fOO: func();\n}", "3:3: `fOO` is no name: words in lower or in upper case, with - between"),
        ("package a:b;\ninterface x {\n  é: func();\n}", "3:3: 'é' has no meaning in WIT"),
        ("package a:b;\ninterface x {\n  f: func(a: u8, A: u8);\n}", "3:10: expected different names, found `A` twice"),
        ("package a:b;\ninterface x {\n  enum e { a, b, a }\n}", "3:10: expected different names, found `a` twice"),
        ("package a:b;\nworld w {", "2:10: expected `}`, found the end of the file"),
        ("package a:b;\n  /* /* */", "2:3: expected `*/`, found the end of the file"),
        ("package a:b;\ninterface x { @since(", "2:22: expected `)`, found the end of the file"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text, "x.wit")
    assert caught.value.message == f"x.wit:{message}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("interface x {\n  f: func(a: nope);\n}", "x.wit:3:14: nope: expected a type of x, found no such name"),
        ("interface x {\n  use y.{t};\n}", "x.wit:3:10: t: package a:b has no interface y here"),
        ("interface x {\n  use y.{t};\n}\ninterface y {}", "x.wit:3:10: t: expected a type of y, found no such name"),
        ("interface x {\n  use c:d/e@1.0.0.{t};\n}", "x.wit:3:20: t: package c:d@1.0.0 is not at hand: put it into the folder deps"),
        ("interface x {\n  use y.{t};\n}\ninterface y {\n  use x.{t};\n}", "x.wit:6:10: t is used in a circle"),
        ("interface x {\n  enum a { b }\n  a: func();\n}", "a:b/x: a is defined twice"),
        ("interface x {\n  resource r { f: func(); f: static func(); }\n}", "a:b/x: r.f is defined twice"),
        ("interface x {}\ninterface x {}", "a:b: x is defined twice"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_with_its_place(body: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(body)
    assert caught.value.message == message


def test_a_folder_is_one_package_with_what_it_uses_in_deps() -> None:
    packages = read_packages(SAMPLES / "everything")
    (package,) = packages.main
    assert (package.id, sorted(item.name for item in package.interfaces)) == ("acme:everything@0.2.1", ["clients", "streams", "types"])
    clients = next(item for item in package.interfaces if item.name == "clients")
    found = packages.find(package, clients, Ref("offset"))
    assert (found.package.id, found.interface.name, found.definition.name) == ("wasi:clock@0.2.0", "zone", "offset")


def test_files_of_one_folder_are_of_one_package(tmp_path: Path) -> None:
    (tmp_path / "a.wit").write_text("package a:b;")
    (tmp_path / "b.wit").write_text("package a:c;")
    with pytest.raises(InvalidArgument, match="its files are of several packages: a:b, a:c"):
        read_packages(tmp_path)
    with pytest.raises(NotFound, match=r"there is no \.wit file in it"):
        read_packages(tmp_path.parent / tmp_path.name / "..")
    with pytest.raises(NotFound, match="does not exist"):
        read_packages(tmp_path / "c.wit")


def test_a_file_says_what_package_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.wit"
    file.write_text("interface x {}")
    with pytest.raises(InvalidArgument, match=r"a\.wit:1:1: expected `package namespace:name;`, found none"):
        read_packages(file)


@settings(max_examples=scale(test=40, ci=100, soak=2000))
@given(packages())
def test_what_is_printed_is_read_as_it_was(package: Package) -> None:
    (found,) = parse(package_text(package), "x.wit")
    assert found == package
    assert found.docs == package.docs and found.interfaces[0].docs == package.interfaces[0].docs
    assert [item.docs for item in found.interfaces[0].functions] == [item.docs for item in package.interfaces[0].functions]


@given(st.data())
def test_a_damaged_text_is_read_or_refused_with_a_place(data: st.DataObject) -> None:
    text = (SAMPLES / "everything" / "types.wit").read_text()
    start = data.draw(st.integers(0, len(text)))
    damaged = text[:start] + data.draw(st.sampled_from(["", "{", "}", "<", "%", "@", "/*", ";", "u8", "\0"])) + text[start + 1 :]
    try:
        found = parse(damaged, "x.wit")
    except InvalidArgument as error:
        assert error.message.startswith("x.wit:")
    else:
        assert all(
            ref.place.line for package in found for item in package.interfaces for definition in item.types for ref in refs(definition)
        )


def test_a_text_without_an_end_to_its_nesting_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="nested too deeply"):
        parse("package a:b; interface x { type t = " + "option<" * 10_000, "x.wit")
