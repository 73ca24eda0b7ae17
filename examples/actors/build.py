"""Builds the example actors: `python examples/actors/build.py [--into FOLDER]`.

Needs node and npm. Each TypeScript source becomes the .wasm file beside it (or in FOLDER), with claims signed by
development keys that anybody can derive: good for trying out, worthless as a proof of origin. The same sources give the
same bytes everywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed
from provider_sdk.nkeys import KeyPair, Prefix

EXAMPLES = Path(__file__).resolve().parents[1]
TOOLS = EXAMPLES / "actors"
OPTIONS = ("-Osize", "--noAssert", "--runtime", "minimal", "--use", "abort=actors/assembly/wapc/abort")
ISSUED_AT = 1_700_000_000


@dataclass(frozen=True)
class Source:
    """An actor: its source without `.ts`, the name and the call alias in its claims, and the contracts that it may use."""

    path: str
    name: str
    capabilities: tuple[str, ...]
    call_alias: str = ""


# `wash` lets nobody sign an alias with a colon, but hosts look up an alias as it is (wasmbus-0x.md §10.1): an actor that
# bears the name of a contract answers for it wherever no provider is linked.
ACTORS = (
    Source("hello/hello", "Hello", ("wasmcloud:httpserver", "wasmcloud:numbergen", "wasmcloud:keyvalue")),
    Source("primes/asker", "Asker", ("wasmcloud:httpserver", "wasmcloud:numbergen"), "asker"),
    Source("primes/primes", "Primes", ("wasmcloud:builtin:numbergen",), "wasmcloud:numbergen"),
    Source("greeter/greeter_actor", "Greeter", ("wasmcloud:httpserver", "acme:greeter")),
    Source("swap-blobs/drop_box", "DropBox", ("wasmcloud:httpserver", "wasmcloud:blobstore")),
)


def build(into: Path) -> list[Path]:
    """Compile and sign every actor below `into`; SystemExit with one line where a tool is missing or fails."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        modules = [Path(folder) / f"{number}.wasm" for number in range(len(ACTORS))]
        jobs = [(f"{source.path}.ts", str(module)) for source, module in zip(ACTORS, modules, strict=True)]
        _run("node", "--enable-source-maps", str(TOOLS / "compile.mjs"), json.dumps(jobs), json.dumps(OPTIONS), cwd=EXAMPLES)
        return [_finish(source, into, module) for source, module in zip(ACTORS, modules, strict=True)]


def install() -> None:
    """Have npm install the compiler of package-lock.json, unless it is there already."""
    wanted = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    installed = TOOLS / "node_modules" / ".package-lock.json"
    if installed.exists():
        present = json.loads(installed.read_text())["packages"]
        if all(present.get(name, {}).get("integrity") == package.get("integrity") for name, package in wanted.items() if name):
            return
    _run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=TOOLS)


def _finish(source: Source, into: Path, module: Path) -> Path:
    target = into / f"{source.path}.wasm"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_sign(source, module.read_bytes()))
    return target


def _sign(source: Source, module: bytes) -> bytes:
    account = KeyPair(Prefix.ACCOUNT, _seed("example account"))
    actor = KeyPair(Prefix.MODULE, _seed(f"example actor {source.name}"))
    claims = ActorClaims(
        jti=_seed(f"example claims {source.name}").hex()[:22],
        issued_at=ISSUED_AT,
        issuer=account.public,
        subject=actor.public,
        name=source.name,
        capabilities=source.capabilities,
        call_alias=source.call_alias,
        revision=1,
        version="0.1.0",
    )
    return embed(module, claims, account)


def _seed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _run(*command: str, cwd: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise SystemExit(f"{command[0]} is not on PATH: building the example actors needs node and npm")
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the example actors.")
    parser.add_argument(
        "--into", type=Path, default=EXAMPLES, metavar="FOLDER", help="where to put the .wasm files (default: beside the sources)"
    )
    for target in build(parser.parse_args().into):
        sys.stdout.write(f"{target}  {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
