"""A Python module of WIT packages: their types as classes, their interfaces as classes to implement and to call.

The text is laid out as `ruff format` does it with the line length of `provider new`.
"""

from __future__ import annotations

from collections.abc import Iterator

from provider_sdk.cli.wit.model import Alias, Builtin, Compound, Function, Part, Ref, Resource, Type
from provider_sdk.cli.wit.names import class_name, constant_name, member_name, method_name
from provider_sdk.cli.wit.packages import Found, Packages
from provider_sdk.cli.wit.python_errors import ErrorPairs
from provider_sdk.cli.wit.python_types import WIDTH, Imports, PythonTypes, Scope
from provider_sdk.errors import InvalidArgument
from provider_sdk.interface import kebab_case

_DATACLASS = "@dataclass(frozen=True, slots=True)"


def python_source(packages: Packages) -> str:
    """The source of the module; InvalidArgument for what has no form in Python."""
    return _Module(packages).text()


class _Module:
    def __init__(self, packages: Packages) -> None:
        self._packages = packages
        self._imports = Imports()
        self._need = self._imports.need
        self._types = PythonTypes(packages, self._imports)
        self._errors = ErrorPairs(self._types, self._imports)

    def text(self) -> str:
        types = [list(self._type(found)) for found in self._types.found]
        interfaces = [
            list(self._interface((package, interface)))
            for package in self._packages.main
            for interface in package.interfaces
            if interface.functions
        ]
        if not types and not interfaces:
            raise InvalidArgument(f"{self._packages.main[0].id}: there is no interface with a type or a function in it")
        blocks = _spaced([*types, *self._errors.blocks, *interfaces])
        apart = [""] if blocks and blocks[0].startswith(("@", "class ", "def ")) else []
        head = [*_docstring(self._docs(), ""), "", "from __future__ import annotations", "", *self._imports.lines(), *apart]
        return "\n".join([*head, *blocks]) + "\n"

    def _docs(self) -> str:
        main = self._packages.main
        docs = "\n\n".join(package.docs for package in main if package.docs)
        return docs or f"Interfaces of {', '.join(package.id for package in main)}."

    def _type(self, found: Found) -> Iterator[str]:
        scope, definition, name = (found.package, found.interface), found.definition, self._types.name_of(found)
        if isinstance(definition, Alias):
            yield f"{name} = {self._types.annotation(scope, definition.type)}"
            yield from _docstring(definition.docs, "")
        elif isinstance(definition, Resource):
            yield from _class(f"class {name}({self._need('Handle')}):", definition.docs, [])
        else:
            yield from self._compound(found, scope, definition, name)

    def _compound(self, found: Found, scope: Scope, item: Compound, name: str) -> Iterator[str]:
        if item.kind == "variant":
            yield from self._variant(found, scope, item, name)
            return
        lines = []
        for part in item.parts:
            lines += [self._member(scope, item.kind, part), *_docstring(part.docs, "")]
        if item.kind == "record":
            self._need("dataclass")
            yield _DATACLASS
        bases = {"record": "", "enum": "(Enum)", "flags": "(Flag)"}[item.kind]
        if bases:
            self._need(bases.strip("()"))
        yield from _class(f"class {name}{bases}:", item.docs, lines)

    def _member(self, scope: Scope, kind: str, part: Part) -> str:
        if kind == "record":
            return f"{member_name(part.name)}: {self._types.annotation(scope, part.type)}"
        return f'{constant_name(part.name)} = "{part.name}"' if kind == "enum" else f"{constant_name(part.name)} = {self._need('auto')}()"

    def _variant(self, found: Found, scope: Scope, item: Compound, name: str) -> Iterator[str]:
        cases = [self._types.case_name(found, part.name) for part in item.parts]
        self._need("dataclass")
        for part, case in zip(item.parts, cases, strict=True):
            carried = f"({self._need('Case')}[{self._types.annotation(scope, part.type)}])" if part.type else ""
            yield _DATACLASS
            yield from _class(f"class {case}{carried}:", part.docs, [])
            yield from ("", "")
        yield from _union(name, cases)
        yield from _docstring(item.docs, "")

    def _interface(self, scope: Scope) -> Iterator[str]:
        package, interface = scope
        name = class_name(interface.name)
        name = self._types.free(name, f"{name}Interface", f"{class_name(package.name.replace(':', '-'))}{name}")
        self._need("Interface")
        lines: list[str] = []
        taken: set[str] = set()
        for function in interface.functions:
            lines += [*([""] if lines else []), *self._function(scope, function, taken)]
        yield from _class(f'class {name}(Interface, wit="{package.identity(interface.name)}"):', interface.docs, lines)

    def _function(self, scope: Scope, function: Function, taken: set[str]) -> Iterator[str]:
        name = method_name("-".join(part for part in (function.resource, function.bare) if part))
        while name in taken or name in self._types.taken:
            name += "_"  # in the class's body it would stand for the decorator of that name
        taken.add(name)
        yield f"@{self._need('abstractmethod')}"
        result = self._result(scope, function)
        within, behind = self._types.behind(scope, result)
        if isinstance(behind, Builtin) and behind.name == "result" and behind.arguments[1] is not None:
            yield self._errors.decorator(within, behind.arguments[1])
            scope_of_result, result = within, behind.arguments[0]
        else:
            scope_of_result = scope
        if kebab_case(name) != function.name:
            yield f'@{self._need("operation")}(wit="{function.name}")'
        parameters = [f"{member_name(key)}: {self._types.annotation(scope, type_)}" for key, type_ in self._parameters(function)]
        end = f" -> {self._types.annotation(scope_of_result, result)}:"
        yield from _signature(name, ["self", *parameters], end if function.docs else f"{end} ...")
        yield from _docstring(function.docs, "    ")

    def _parameters(self, function: Function) -> list[tuple[str, Type]]:
        if function.role != "method":
            return list(function.parameters)
        own = next(name for name in (function.resource, "this", "handle", "lent") if name not in dict(function.parameters))
        return [(own, Builtin("borrow", (Ref(function.resource),))), *function.parameters]

    def _result(self, scope: Scope, function: Function) -> Type | None:
        return Ref(function.resource) if function.role == "constructor" and function.result is None else function.result


def _signature(name: str, parameters: list[str], end: str) -> list[str]:
    line = f"async def {name}({', '.join(parameters)}){end}"
    if len(line) + 4 <= WIDTH:
        return [line]
    inner = f"    {', '.join(parameters)}"
    if len(parameters) > 1 and len(inner) + 4 <= WIDTH:
        return [f"async def {name}(", inner, f"){end}"]
    return [f"async def {name}(", *(f"    {item}," for item in parameters), f"){end}"]


def _union(name: str, cases: list[str]) -> list[str]:
    joined = " | ".join(cases)
    if len(f"{name} = {joined}") <= WIDTH:
        return [f"{name} = {joined}"]
    inner = [joined] if len(joined) + 4 <= WIDTH else [cases[0], *(f"| {case}" for case in cases[1:])]
    return [f"{name} = (", *(f"    {line}" for line in inner), ")"]


def _class(head: str, docs: str, lines: list[str]) -> Iterator[str]:
    yield head
    yield from _docstring(docs, "    ")
    if docs and lines:
        yield ""
    yield from (f"    {line}" if line else line for line in lines)
    if not docs and not lines:
        yield "    pass"


def _docstring(docs: str, indent: str) -> list[str]:
    if not docs:
        return []
    safe = docs.expandtabs(4).replace("\\", "\\\\")
    if '"""' in safe or safe.endswith('"'):
        safe = safe.replace('"', '\\"')
    first, *rest = safe.splitlines()
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}" if line else "" for line in rest), f'{indent}"""']


def _spaced(blocks: list[list[str]]) -> list[str]:
    """The lines of the blocks with two empty ones between."""
    lines: list[str] = []
    for block in blocks:
        lines += [*(["", ""] if lines else []), *block]
    return lines
