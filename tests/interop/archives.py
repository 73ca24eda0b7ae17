"""Archives that the real host starts: frozen programs as `provider package build` packs them, and others around a program or a script."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from provider_packaging.archive import create
from provider_packaging.build import pack
from provider_packaging.claims import Claims
from provider_packaging.targets import native_target
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.provider_toml import FILE, read_provider_toml
from tests.frozen import REPOSITORY, frozen_from
from tests.interop import host1x

Archive = Callable[[str], Path]

FROM_SOURCE = os.environ.get("INTEROP_FORM") == "source"
PACK = ("numbergen", "httpserver", "keyvalue", "blobstore")
MODULES = {
    **{name: f"providers.{name}" for name in PACK},
    "greeter": "greeter",
    "codec": "tests.interop.codec_provider",
    "confidant": "tests.interop.confidant",
    "blobstore-0.1": "tests.interop.blobstore_older",
}
"""What serves as a provider, and its module."""

GREETER = """\
name = "greeter"
contract = "acme:greeter"
interfaces = ["acme:greeter/greeter@0.1.0"]
version = "0.1.0"
revision = 1
vendor = "Acme"
module = "greeter"
"""
ISSUED = 1_700_000_000


def of(name: str, folder: Path) -> Path:
    """The archive of one of MODULES, frozen if it is a program that others get; or of `kvmem`, which is on the official Rust SDK."""
    if name == "kvmem":
        program = host1x.found(name)
        assert program is not None
        return of_program(program, folder / "kvmem.par.gz")
    if FROM_SOURCE or name not in {*PACK, "greeter"}:
        return of_script(MODULES[name], folder)
    return of_frozen(_greeter(folder) if name == "greeter" else REPOSITORY / "providers" / name, folder)


def of_frozen(source: Path, folder: Path) -> Path:
    """The archive of the provider.toml in a folder."""
    programs = {native_target(): frozen_from(source)}
    issuer, subject = KeyPair.generate(Prefix.ACCOUNT), KeyPair.generate(Prefix.PROVIDER)
    return pack(read_provider_toml(source), programs, folder, issuer, subject.public).archive


def of_script(module: str, folder: Path) -> Path:
    """An archive whose program is a script that runs a module of this repository with this Python."""
    script = folder / f"{module}.script"
    paths = [str(REPOSITORY / part) for part in ("", "packaging", "examples/greeter")]
    lines = [f"#!{sys.executable} -I", "import runpy, sys", f"sys.path[:0] = {paths}"]
    lines.append(f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)")
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


def _greeter(folder: Path) -> Path:
    """The thirty lines of the example, unchanged, and what an author writes beside them to publish it."""
    source = folder / "greeter"
    source.mkdir()
    shutil.copy(REPOSITORY / "examples/greeter/greeter.py", source)
    (source / FILE).write_text(GREETER)
    return source
