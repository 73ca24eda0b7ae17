"""Names on the wire (wrpc-1x.md §3.1): invocation subjects, functions, and the contracts by which links are found."""

from __future__ import annotations

PROTOCOL = "wrpc.0.0.1"
# Links are declared with the namespace of the standard, and the wire has that of its wRPC form (§6).
_NAMESPACES = {"wrpc": "wasi"}


def invocation_prefix(lattice: str, identifier: str) -> str:
    """What the subjects begin with on which the component or provider `identifier` is asked."""
    return f"{lattice}.{identifier}.{PROTOCOL}."


def invocation_subject(lattice: str, identifier: str, instance: str, function: str) -> str:
    """Where a function of `instance` (`wrpc:keyvalue/store@0.2.0-draft`) is asked of the component or provider `identifier`."""
    return f"{invocation_prefix(lattice, identifier)}{instance}.{plain_function(function)}"


def queue_group(lattice: str, identifier: str) -> str:
    """The group in which all instances of a component or provider take its calls."""
    return f"{lattice}.{identifier}"


def plain_function(function: str) -> str:
    """A WIT function as the last part of a subject: `[method]thing.add` is `thing.add`, `[constructor]thing` is `thing`."""
    return function.partition("]")[2] if function.startswith("[") else function


def contract(namespace: str, package: str) -> str:
    """The contract of a link: `wasi:keyvalue` whether it says `wasi` or `wrpc`."""
    return f"{_NAMESPACES.get(namespace, namespace)}:{package}"


def contract_of(instance: str) -> str:
    """The contract under which links to an instance are made: `wasi:keyvalue` of `wrpc:keyvalue/store@0.2.0-draft`."""
    namespace, _, rest = instance.partition(":")
    return contract(namespace, rest.partition("/")[0])
