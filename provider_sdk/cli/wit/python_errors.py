"""What an error is as a value of WIT, and the other way: the two functions that `@fails` takes, to be edited by the author."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider_sdk.cli.wit.model import Builtin, Compound, Part, Resource, Type
from provider_sdk.cli.wit.names import constant_name, member_name
from provider_sdk.cli.wit.packages import Found
from provider_sdk.cli.wit.python_types import Imports, PythonTypes, Scope
from provider_sdk.errors import Code, InvalidArgument, ProviderError

_CODES = (
    (r"not-found|no-such-.*|.*-not-found|unknown-.*", Code.NOT_FOUND),
    (r"already-exists|exists", Code.ALREADY_EXISTS),
    (r"(access|permission|request)-denied|forbidden|.*-denied|.*-prohibited", Code.PERMISSION_DENIED),
    (r"unauthenticated|unauthorized", Code.UNAUTHENTICATED),
    (r"timeout|.*-timeout|deadline-exceeded", Code.DEADLINE_EXCEEDED),
    (r"unavailable|.*-unavailable|connection-refused|closed", Code.UNAVAILABLE),
    (r"out-of-range|.*-too-long|.*-too-large", Code.OUT_OF_RANGE),
    (r"invalid|invalid-.*|.*-invalid", Code.INVALID_ARGUMENT),
    (r"unsupported|not-supported|not-implemented", Code.UNSUPPORTED),
    (r"resource-exhausted|.*-limit-reached|quota|quota-exceeded|too-many-.*", Code.RESOURCE_EXHAUSTED),
    (r"precondition-failed|conflict", Code.PRECONDITION_FAILED),
)
_REST = ("other", "unexpected", "unknown", "internal", "internal-error", "upstream")
_ZEROS = {"bool": "False", "char": '"?"', "f32": "0.0", "f64": "0.0", "option": "None", "string": "error_text(error)"}


class ErrorPairs:
    """The pairs that the interfaces need so far: `blocks` has their source."""

    def __init__(self, types: PythonTypes, imports: Imports) -> None:
        self._types = types
        self._need = imports.need
        self._pairs: dict[str, tuple[str, str]] = {}
        self.blocks: list[list[str]] = []

    def decorator(self, scope: Scope, type_: Type) -> str:
        """The line that says that a function fails so."""
        self._need("fails")
        within, behind = self._types.behind(scope, type_)
        if behind == Builtin("string"):
            return "@fails(str)"
        annotation = self._types.annotation(scope, type_)
        if annotation not in self._pairs:
            slug = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", annotation)).strip("_").lower()
            encode, decode = self._types.free(f"encode_{slug}"), self._types.free(f"decode_{slug}")
            self._pairs[annotation] = encode, decode
            self._need("ProviderError")
            self.blocks.append([f"def {encode}(error: ProviderError) -> {annotation}:", *self._encode(within, behind)])
            self.blocks.append([f"def {decode}(value: {annotation}) -> ProviderError:", *self._decode(within, behind)])
        encode, decode = self._pairs[annotation]
        return f"@fails({annotation}, encode={encode}, decode={decode})"

    def _encode(self, scope: Scope, behind: Builtin | Found | None) -> Iterator[str]:
        yield '    """What a caller gets for an error."""'
        cases = self._cases(behind)
        rest = f"return {self._value(scope, behind)}"
        coded: dict[Code, str] = {}
        for part, expression in cases:
            code = _code(part.name)
            if code and part.type is None and rest != f"return {expression}":
                coded.setdefault(code, expression)
        if not coded:
            yield f"    {rest}"
            return
        yield "    match error.code:"
        for code, expression in coded.items():
            yield from (f"        case {self._need('Code')}.{code.name}:", f"            return {expression}")
        yield from ("        case _:", f"            {rest}")

    def _decode(self, scope: Scope, behind: Builtin | Found | None) -> Iterator[str]:
        yield '    """The error that such a value stands for."""'
        known = []
        cases = self._cases(behind)
        for part, pattern in cases:
            text, code = self._carries_text(scope, behind, part), _code(part.name)
            if text and not code:
                known += [f"        case {pattern}:", f"            return {self._need('error_of')}({text})"]
            elif code:
                message = text or f'"{part.name}"'
                known += [f"        case {pattern}:", f"            return {self._need(_error_class(code))}({message})"]
        if len(known) < 2 * len(cases) or not known:
            rest = f"return {self._need('Internal')}(repr(value))"
            known = [*known, "        case _:", f"            {rest}"] if known else [f"    {rest}"]
        yield from ["    match value:", *known] if len(known) > 1 else known

    def _cases(self, behind: Builtin | Found | None) -> list[tuple[Part, str]]:
        """The cases of a variant or an enum, each as a pattern, and as an expression where it carries nothing."""
        if not isinstance(behind, Found) or not isinstance(behind.definition, Compound):
            return []
        name, kind = self._types.name_of(behind), behind.definition.kind
        if kind == "enum":
            return [(part, f"{name}.{constant_name(part.name)}") for part in behind.definition.parts]
        if kind == "variant":
            return [(part, f"{self._types.case_name(behind, part.name)}()") for part in behind.definition.parts]
        return []

    def _carries_text(self, scope: Scope, behind: Builtin | Found | None, part: Part) -> str:
        """How the text of a case is read; empty where it carries none."""
        within = (behind.package, behind.interface) if isinstance(behind, Found) else scope
        inner, carried = self._types.behind(within, part.type)
        if carried == Builtin("string"):
            return "value.value"
        if (
            isinstance(carried, Builtin)
            and carried.name == "option"
            and self._types.behind(inner, carried.arguments[0])[1] == Builtin("string")
        ):
            return f'value.value or "{part.name}"'
        return ""

    def _value(self, scope: Scope, behind: Builtin | Found | None) -> str:
        """An expression for a value that tells of `error` as far as the type can."""
        if isinstance(behind, Found):
            return self._named_value(behind)
        assert behind is not None  # a type has something behind it
        if behind.name in ("stream", "future", "borrow"):
            raise InvalidArgument(f"{scope[0].identity(scope[1].name)}: an error type with a {behind.name} has no form here")
        if behind.name == "list" and self._types.behind(scope, behind.arguments[0])[1] == Builtin("u8"):
            return f"{self._need('error_text')}(error).encode()"
        if behind.name == "list":
            return f"[{self._value(*self._types.behind(scope, behind.arguments[0]))}]"
        if behind.name == "tuple":
            values = [self._value(*self._types.behind(scope, item)) for item in behind.arguments]
            return f"({', '.join(values)}{',' * (len(values) == 1)})"
        if behind.name == "result":
            bad = behind.arguments[1]
            return f"{self._need('Err')}({self._value(*self._types.behind(scope, bad)) if bad else 'None'})"
        if behind.name == "string":
            self._need("error_text")
        return _ZEROS.get(behind.name, "0")

    def _named_value(self, found: Found) -> str:
        scope, definition, name = (found.package, found.interface), found.definition, self._types.name_of(found)
        if isinstance(definition, Resource):
            return f"{name}({self._need('error_text')}(error).encode())"
        assert isinstance(definition, Compound)  # what is behind an alias is none
        if definition.kind == "flags":
            return f"{name}(0)"
        if definition.kind == "record":
            members = (f"{member_name(part.name)}={self._value(*self._types.behind(scope, part.type))}" for part in definition.parts)
            return f"{name}({', '.join(members)})"
        part = min(definition.parts, key=lambda part: self._rank(found, part))
        if definition.kind == "enum":
            return f"{name}.{constant_name(part.name)}"
        return f"{self._types.case_name(found, part.name)}({self._payload(found, part)})"

    def _payload(self, found: Found, part: Part) -> str:
        if part.type is None:
            return ""
        scope = (found.package, found.interface)
        return (
            f"{self._need('error_text')}(error)"
            if self._carries_text(scope, found, part)
            else self._value(*self._types.behind(scope, part.type))
        )

    def _rank(self, found: Found, part: Part) -> tuple[int, int]:
        """The case for whatever has none of its own: one with text, named so, first."""
        text = bool(self._carries_text((found.package, found.interface), found, part))
        named = _REST.index(part.name) if part.name in _REST else len(_REST)
        return (0 if text else 1 if part.type is None else 2), named


def _code(case: str) -> Code | None:
    return next((code for pattern, code in _CODES if re.fullmatch(pattern, case, re.IGNORECASE)), None)


def _error_class(code: Code) -> str:
    return type(ProviderError.of(code, "")).__name__
