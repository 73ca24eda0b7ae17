"""Archives that the real host starts: the pack's as `provider package build` makes them, and others around a program or a script."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from provider_packaging.archive import create
from provider_packaging.build import pack
from provider_packaging.claims import Claims
from provider_packaging.targets import native_target
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.provider_toml import read_provider_toml
from tests.frozen import REPOSITORY, frozen
from tests.interop import host1x

ISSUED = 1_700_000_000
PACK = ("numbergen", "httpserver", "keyvalue", "blobstore")
SCRIPTS = {
    **{name: f"providers.{name}" for name in PACK},
    "greeter": "examples.greeter.greeter",
    "codec": "tests.interop.codec_provider",
    "confidant": "tests.interop.confidant",
    "blobstore-0.1": "tests.interop.blobstore_older",
}
Archive = Callable[[str], Path]
FROM_SOURCE = os.environ.get("INTEROP_FORM") == "source"


def of(name: str, folder: Path) -> Path:
    """The archive of a provider of the pack, of the tests, or `kvmem`, which is on the official Rust SDK."""
    if name == "kvmem":
        program = host1x.found(name)
        assert program is not None
        return of_program(program, folder / "kvmem.par.gz")
    return of_pack(name, folder) if name in PACK and not FROM_SOURCE else of_script(SCRIPTS[name], folder)


def of_pack(name: str, folder: Path) -> Path:
    """The archive of `providers/NAME`, its program frozen."""
    programs = {native_target(): frozen(name)}
    issuer, subject = KeyPair.generate(Prefix.ACCOUNT), KeyPair.generate(Prefix.PROVIDER)
    return pack(read_provider_toml(REPOSITORY / "providers" / name), programs, folder, issuer, subject.public).archive


def of_script(module: str, folder: Path) -> Path:
    """An archive whose program is a script that runs a module of this repository with this Python."""
    script = folder / f"{module}.script"
    paths = [str(REPOSITORY / folder) for folder in ("", "packaging", "examples/greeter")]
    lines = [
        f"#!{sys.executable} -I",
        "import runpy, sys",
        f"sys.path[:0] = {paths}",
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)",
    ]
    script.write_text("\n".join(lines))
    return of_program(script, folder / f"{module}.par.gz")


def of_program(program: Path, output: Path) -> Path:
    """An archive around a ready program."""
    issuer, subject = KeyPair.generate(Prefix.ACCOUNT), KeyPair.generate(Prefix.PROVIDER)
    claims = Claims(
        issuer=issuer.public,
        subject=subject.public,
        issued=ISSUED,
        name=output.name.partition(".")[0],
        vendor="tests",
        version="0.1.0",
        revision=1,
        hashes={},
    )
    create(output, claims, {native_target(): program}, issuer, compressed=True)
    return output
