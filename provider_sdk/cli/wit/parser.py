"""WIT text read into packages: interfaces with their types and functions.

Worlds are passed over; so is what is marked @unstable, as by other tools that are not asked for a feature. Other marks mean nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from provider_sdk.cli.wit.model import (
    Alias,
    Builtin,
    Compound,
    Definition,
    Function,
    Package,
    Part,
    Place,
    Ref,
    Resource,
    Type,
    Use,
    WitInterface,
)
from provider_sdk.cli.wit.names import LABEL, repeated
from provider_sdk.cli.wit.text import KEYWORDS
from provider_sdk.cli.wit.tokens import Token, tokens
from provider_sdk.errors import InvalidArgument

T = TypeVar("T")
_PLAIN = frozenset({"bool", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64", "char", "string"})
_COUNTS = {"list": (1, 1), "option": (1, 1), "stream": (0, 1), "future": (0, 1), "result": (0, 2), "tuple": (1, 1 << 30)}
_WITHOUT_FORM = {"map": "a map", "error-context": "an error-context"}
_COMPOUNDS = ("record", "variant", "enum", "flags")


@dataclass(slots=True)
class _Body:
    """What a package or an interface has so far."""

    interfaces: list[WitInterface] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    types: list[Definition] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)


def parse(text: str, file: str) -> list[Package]:
    """The packages of a file, first that of the file itself, whose name is empty where only other files of the folder say it.

    InvalidArgument `FILE:LINE:COLUMN: expected …, found …`.
    """
    try:
        return _Parser(tokens(text, file)).file()
    except RecursionError:
        raise InvalidArgument(f"{file}: nested too deeply") from None


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._nested: list[Package] = []

    def file(self) -> list[Package]:
        docs, name, version = "", "", ""
        if self._is("package"):
            before = self._at
            docs = self._next.docs
            self._take()
            name, version = self._package_name()
            if self._is("{"):
                self._at, docs, name, version = before, "", "", ""
            else:
                self._expect(";")
        interfaces = self._items("")
        return [Package(name, version, interfaces, docs), *self._nested]

    def _items(self, end: str) -> tuple[WitInterface, ...]:
        """Interfaces, worlds, packages and uses, as far as the sign `end` or the end of the file."""
        body = _Body()
        while not self._is(end) and self._next.kind != "end":
            docs = self._next.docs
            stable = self._gates()
            docs = docs or self._next.docs
            if self._accept("interface"):
                interface = self._interface(docs)
                if stable:
                    body.interfaces.append(interface)
            elif self._accept("world"):
                self._name("a name")
                self._skip_braces()
            elif self._is("package") and not end:
                self._nested_package(docs)
            elif self._accept("use"):
                self._use_of_file(body.aliases)
            else:
                self._fail("`interface`, `world`, `use` or `package`")
        aliases = body.aliases
        return tuple(_without_aliases(item, aliases) for item in body.interfaces)

    def _nested_package(self, docs: str) -> None:
        self._expect("package")
        name, version = self._package_name()
        self._expect("{")
        interfaces = self._items("}")
        self._expect("}")
        self._nested.append(Package(name, version, interfaces, docs))

    def _package_name(self) -> tuple[str, str]:
        parts = [self._name("a package's name")]
        self._expect(":")
        parts.append(self._name("a package's name"))
        while self._accept(":"):
            parts.append(self._name("a package's name"))
        return ":".join(parts), self._version()

    def _version(self) -> str:
        if not self._accept("@"):
            return ""
        if self._next.kind != "version":
            self._fail("a version such as 1.2.3")
        return self._take().text

    def _use_of_file(self, aliases: dict[str, str]) -> None:
        path = self._interface_path()
        name = self._name("a name") if self._accept("as") else path.partition("@")[0].rpartition("/")[2]
        self._expect(";")
        aliases[name] = path

    def _interface_path(self) -> str:
        name = self._name("the name of an interface")
        if not self._is(":"):
            return name
        while self._accept(":"):
            name += ":" + self._name("a package's name")
        self._expect("/")
        name += "/" + self._name("the name of an interface")
        version = self._version()
        return f"{name}@{version}" if version else name

    def _interface(self, docs: str) -> WitInterface:
        name, body = self._name("the name of an interface"), _Body()
        self._expect("{")
        while not self._accept("}"):
            self._member(body)
        return WitInterface(name, tuple(body.uses), tuple(body.types), tuple(body.functions), docs)

    def _member(self, body: _Body) -> None:
        docs = self._next.docs
        stable = self._gates()
        docs, into = docs or self._next.docs, body if stable else _Body()
        if self._accept("use"):
            self._use(into)
        elif self._accept("type"):
            name = self._name("a name")
            self._expect("=")
            into.types.append(Alias(name, self._type(), docs))
            self._expect(";")
        elif self._accept("resource"):
            self._resource(into, docs)
        elif kind := next((kind for kind in _COMPOUNDS if self._accept(kind)), ""):
            into.types.append(Compound(kind, self._name("a name"), self._parts(kind), docs))
        elif self._next.kind == "name" and (self._next.escaped or self._next.text not in KEYWORDS):
            into.functions.append(self._named_function("", docs))
        else:
            self._fail("a type, a function, `use` or `}`")

    def _use(self, body: _Body) -> None:
        path = self._interface_path()
        self._expect(".")
        for use in self._list("{", "}", lambda: self._used(path)):
            body.uses.append(use)
        self._expect(";")

    def _used(self, path: str) -> Use:
        place = self._next.place
        original = self._name("the name of a type")
        return Use(path, original, self._name("a name") if self._accept("as") else original, place)

    def _parts(self, kind: str) -> tuple[Part, ...]:
        place = self._next.place
        parts = tuple(self._list("{", "}", lambda: self._part(kind)))
        if not parts:
            raise InvalidArgument(f"{place}: expected a {kind} with something in it")
        _distinct([part.name for part in parts], place)
        return parts

    def _part(self, kind: str) -> Part:
        docs = self._next.docs
        self._gates()
        docs = docs or self._next.docs
        name, type_ = self._name("a name"), None
        if kind == "record":
            self._expect(":")
            type_ = self._type()
        elif kind == "variant" and self._accept("("):
            type_ = self._type()
            self._expect(")")
        return Part(name, type_, docs)

    def _resource(self, body: _Body, docs: str) -> None:
        name = self._name("the name of a resource")
        body.types.append(Resource(name, docs))
        if self._accept(";"):
            return
        self._expect("{")
        while not self._accept("}"):
            docs = self._next.docs
            stable = self._gates()
            docs = docs or self._next.docs
            if self._accept("constructor"):
                parameters, result = self._signature()
                function = Function(f"[constructor]{name}", parameters, result, docs)
            else:
                function = self._named_function(name, docs)
            if stable:
                body.functions.append(function)

    def _named_function(self, resource: str, docs: str) -> Function:
        name = self._name("a function")
        self._expect(":")
        static = bool(resource) and self._accept("static")
        self._accept("async")
        self._expect("func")
        parameters, result = self._signature()
        full = f"[{'static' if static else 'method'}]{resource}.{name}" if resource else name
        return Function(full, parameters, result, docs)

    def _signature(self) -> tuple[tuple[tuple[str, Type], ...], Type | None]:
        place = self._next.place
        parameters = tuple(self._list("(", ")", self._parameter))
        _distinct([name for name, _ in parameters], place)
        result = self._type() if self._accept("->") else None
        self._expect(";")
        return parameters, result

    def _parameter(self) -> tuple[str, Type]:
        name = self._name("a parameter")
        self._expect(":")
        return name, self._type()

    def _type(self) -> Type:
        token = self._next
        if token.kind != "name":
            self._fail("a type")
        self._take()
        if token.escaped or token.text not in KEYWORDS:
            return Ref(self._checked(token), token.place)
        if token.text in _PLAIN:
            return Builtin(token.text)
        if token.text in ("own", "borrow"):
            self._expect("<")
            handle = Ref(self._name("a resource"), self._tokens[self._at - 1].place)
            self._expect(">")
            return handle if token.text == "own" else Builtin("borrow", (handle,))
        if token.text in _WITHOUT_FORM:
            raise InvalidArgument(f"{token.place}: {_WITHOUT_FORM[token.text]} cannot go to a provider: expected another type")
        if token.text not in _COUNTS:
            self._at -= 1
            self._fail("a type")
        return Builtin(token.text, self._arguments(token))

    def _arguments(self, token: Token) -> tuple[Type | None, ...]:
        least, most = _COUNTS[token.text]
        arguments = tuple(self._list("<", ">", lambda: self._argument(token.text))) if self._is("<") else ()
        if not least <= len(arguments) <= most:
            raise InvalidArgument(
                f"{token.place}: expected {token.text} with {least or 'at most ' + str(most)} type{'s' * (most > 1)} in < >"
            )
        missing = {"result": 2, "stream": 1, "future": 1}.get(token.text, 0) - len(arguments)
        return arguments + (None,) * missing

    def _argument(self, of: str) -> Type | None:
        if of == "list" and self._next.kind == "number":
            self._fail("`>`: a list of fixed length cannot go to a provider")
        return None if of == "result" and self._accept("_") else self._type()

    def _list(self, opening: str, closing: str, item: Callable[[], T]) -> list[T]:
        """Items with commas between, and perhaps one after the last."""
        self._expect(opening)
        found = []
        while not self._accept(closing):
            found.append(item())
            if not self._is(closing):
                self._expect(",", f"`,` or `{closing}`")
        return found

    def _gates(self) -> bool:
        """Go past @since(…), @deprecated(…) and @unstable(…); false where there was the last."""
        stable = True
        while self._accept("@"):
            name = self._name("since, unstable or deprecated")
            stable = stable and name != "unstable"
            self._expect("(")
            while not self._accept(")"):
                if self._next.kind == "end":
                    self._fail("`)`")
                self._take()
        return stable

    def _skip_braces(self) -> None:
        self._expect("{")
        depth = 1
        while depth:
            if self._next.kind == "end":
                self._fail("`}`")
            depth += {"{": 1, "}": -1}.get(self._take().text, 0)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _is(self, text: str) -> bool:
        token = self._next
        return token.kind != "end" and token.text == text and not token.escaped

    def _accept(self, text: str) -> bool:
        found = self._is(text)
        self._at += found
        return found

    def _expect(self, text: str, expected: str = "") -> None:
        if not self._accept(text):
            self._fail(expected or f"`{text}`")

    def _name(self, expected: str) -> str:
        token = self._next
        if token.kind != "name":
            self._fail(expected)
        if token.text in KEYWORDS and not token.escaped:
            self._fail(f"{expected} (a keyword is written `%{token.text}`)")
        return self._checked(self._take())

    def _checked(self, token: Token) -> str:
        if not LABEL.fullmatch(token.text):
            raise InvalidArgument(f"{token.place}: {token.shown} is no name: words in lower or in upper case, with - between")
        return token.text

    def _fail(self, expected: str) -> NoReturn:
        raise InvalidArgument(f"{self._next.place}: expected {expected}, found {self._next.shown}")


def _distinct(names: list[str], place: Place) -> None:
    if twice := repeated(names):
        raise InvalidArgument(f"{place}: expected different names, found `{twice}` twice")


def _without_aliases(interface: WitInterface, aliases: dict[str, str]) -> WitInterface:
    """The interface with uses by the full names of what the file calls otherwise."""
    uses = tuple(Use(aliases.get(use.interface, use.interface), use.original, use.name, use.place) for use in interface.uses)
    return WitInterface(interface.name, uses, interface.types, interface.functions, interface.docs)
