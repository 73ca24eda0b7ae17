"""The entry point of a provider: reads the host data, picks the host generation, imports it and only it."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.provider import Provider

LONGEST_LINE = 64 << 20
USAGE = 2


def main(provider_class: type[Provider[Any]]) -> NoReturn:
    """Run `provider_class` as a host would have it: host data on stdin, logs on stderr. Ends the process.

    Exit codes: 0 stopped by the host, a signal or the parent's end; 1 could not start (one line on stderr says why); 2 run by hand
    or a wrong option; 70 a fault of the SDK; 74 the NATS connection ended for good.
    """
    if len(sys.argv) > 1 or sys.stdin is None or sys.stdin.isatty():
        sys.exit(_by_hand(provider_class, sys.argv[1:]))
    try:
        host = _host(sys.stdin.buffer.readline(LONGEST_LINE + 1))
        from provider_sdk.runtime.lifecycle import serve

        code = serve(provider_class, host)
    except ProviderError as error:
        print(f"error loading host data: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _host(line: bytes) -> Any:
    if len(line) > LONGEST_LINE:
        raise InvalidArgument(f"host data: longer than {LONGEST_LINE} bytes")
    from provider_sdk.hosts.line import decode_line

    members = decode_line(line)
    if "invocation_seed" in members:
        from provider_sdk.hosts.wasmbus.host import WasmbusHost
        from provider_sdk.hosts.wasmbus.hostdata import parse_host_data

        return WasmbusHost(parse_host_data(members))
    from provider_sdk.hosts.wrpc.host import WrpcHost
    from provider_sdk.hosts.wrpc.hostdata import parse_host_data as parse_wrpc

    return WrpcHost(parse_wrpc(members))


def _by_hand(provider_class: type[Provider[Any]], options: list[str]) -> int:
    if options == ["--schema"]:
        print(json.dumps(provider_class.config_class.json_schema(), indent=2))
        return 0
    if options == ["--interface"]:
        from provider_sdk.hosts.wasmbus.outline import outline

        print(json.dumps(outline(provider_class.serves, provider_class.config_class), indent=2, ensure_ascii=False))
        return 0
    if options == ["--settings"]:
        return _judge(provider_class)
    if options and options != ["--help"]:
        takes = "this program takes --help, --interface, --schema or --settings, and is otherwise started by a host"
        print(f"unknown option {options[0]!r}: {takes}", file=sys.stderr)
        return USAGE
    name = provider_class.__name__
    summary = (provider_class.__doc__ or "").strip().partition("\n")[0]
    identities = [interface.__identity__ for interface in provider_class.serves]
    contracts = ", ".join(sorted({item.contract for item in identities if item.contract}))
    interfaces = ", ".join(sorted({item.wit for item in identities if item.wit}))
    served = "\n".join(filter(None, (contracts and f"  on 0.x: {contracts}", interfaces and f"  on 1.x: {interfaces}")))
    print(
        f"{name} is a wasmCloud capability provider. {summary}\n"
        f"It serves{':' if served else ' nothing: it only calls'}\n{served}\n\n"
        "A wasmCloud host starts it and writes one line of host data to its standard input; it is not meant to be started by hand.\n"
        "To try it on this machine, with no host installed:\n\n"
        "    provider run                  this provider, from its source\n"
        "    provider dev up MANIFEST      a lattice in a box, from a wadm manifest\n"
        "    provider dev run ACTOR.wasm   the same without a manifest\n\n"
        "--schema prints the JSON Schema of its settings, --interface what it serves, with arguments to try, --settings what it makes of\n"
        "settings that it reads as JSON; `provider dev check MANIFEST` asks for it."
    )
    return 0 if options else USAGE


def _judge(provider_class: type[Provider[Any]]) -> int:
    from provider_sdk.runtime.trial import judge

    try:
        answer = judge(provider_class.config_class, json.load(sys.stdin))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"--settings: the standard input is not what is asked for: {type(error).__name__}: {error}", file=sys.stderr)
        return USAGE
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0
