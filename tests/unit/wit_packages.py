"""Any WIT package: strategies for packages of one interface, whose types use those before them."""

from __future__ import annotations

from hypothesis import strategies as st

from provider_sdk.cli.wit.model import Alias, Builtin, Compound, Definition, Function, Package, Part, Ref, Resource, Type, WitInterface
from provider_sdk.cli.wit.text import KEYWORDS

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,3}(-[a-z][a-z0-9]{0,2}){0,2}", fullmatch=True) | st.sampled_from(sorted(KEYWORDS))
DOCS = st.lists(st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True), max_size=2).map("\n".join)
PLAIN = st.sampled_from(["bool", "u8", "s16", "u64", "f32", "char", "string"]).map(Builtin)


def types(known: list[Definition]) -> st.SearchStrategy[Type]:
    """Types of WIT's own and those that are known, in each other."""
    leaves: st.SearchStrategy[Type] = PLAIN
    if known:
        leaves = PLAIN | st.sampled_from([Ref(item.name) for item in known])
    return st.recursive(leaves, _nested, max_leaves=5)


def _nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    maybe = st.none() | inner
    return (
        st.builds(lambda name, item: Builtin(name, (item,)), st.sampled_from(["list", "option"]), inner)
        | st.builds(lambda name, item: Builtin(name, (item,)), st.sampled_from(["stream", "future"]), maybe)
        | st.builds(lambda good, bad: Builtin("result", (good, bad)), maybe, maybe)
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: Builtin("tuple", tuple(items)))
    )


@st.composite
def definitions(draw: st.DrawFn, name: str, known: list[Definition]) -> Definition:
    """A type of any kind."""
    kind = draw(st.sampled_from(["record", "variant", "enum", "flags", "alias", "resource"]))
    if kind == "alias":
        return Alias(name, draw(types(known)), draw(DOCS))
    if kind == "resource":
        return Resource(name, draw(DOCS))
    carried = types(known) if kind == "record" else st.none() | types(known) if kind == "variant" else st.none()
    parts = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    return Compound(kind, name, tuple(Part(part, draw(carried), draw(DOCS)) for part in parts), draw(DOCS))


@st.composite
def packages(draw: st.DrawFn) -> Package:
    """A package `a:b` of one interface."""
    names = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    cut = draw(st.integers(0, len(names) - 1))
    known: list[Definition] = []
    for name in names[:cut]:
        known.append(draw(definitions(name, known)))
    functions = []
    for resource in (item.name for item in known if isinstance(item, Resource)):
        roles = draw(st.lists(st.sampled_from(["[constructor]{}", "[method]{}.m", "[static]{}.s"]), unique=True))
        functions += [Function(role.format(resource), (), None, draw(DOCS)) for role in roles]
    for name in names[cut:]:
        parameters = tuple((key, draw(types(known))) for key in draw(st.lists(NAMES, max_size=3, unique=True)))
        functions.append(Function(name, parameters, draw(st.none() | types(known)), draw(DOCS)))
    inner = WitInterface(draw(NAMES), (), tuple(known), tuple(functions), draw(DOCS))
    return Package("a:b", draw(st.sampled_from(["", "1.0.0", "0.2.0-draft.1+x"])), (inner,), draw(DOCS))
