"""The component that asks: component/, prebuilt as probe.wasm; `python -m tests.interop.probe` makes it anew from its sources.

It turns HTTP queries into calls of wasi:keyvalue, wasi:blobstore, the numbers, the greeter and two interfaces that have every kind of
value. The compiler is Debian's for the web, unpacked into a cache and not installed: rustup has no WebAssembly target everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.built_once import kept
from tests.tools import cargo

SOURCES = Path(__file__).parent / "component"
COMPONENT = SOURCES / "probe.wasm"
STAMP = SOURCES / "probe.sources"
"""The digest of the sources that the prebuilt component is of."""

TARGET = "wasm32-unknown-unknown"
RUST = "1.96.0+dfsg1-1~deb12u2"
PACKAGES = (
    *(f"{name}={RUST}" for name in ("rustc-web", "libstd-rust-web-1.96", "libstd-rust-web-dev", "rust-web-src")),
    *("lld-19", "libllvm19", "libllvm22"),
)
ENCODER = "@bytecodealliance/jco@1.35.0"


def build(output: Path) -> Path:
    """Compile the component from its sources: apt, dpkg-deb, npm, cargo 1.95 or newer and their registries; a minute or two."""
    workshop = kept("host1x") / "component"
    root = _unpacked(workshop)
    encoder = _encoder(workshop)
    sources = cargo.copied(SOURCES, workshop / "sources")
    core = _compile(sources, root, workshop / "target")
    subprocess.run([encoder, "new", core, "-o", output], check=True, stdout=subprocess.DEVNULL)
    return output


def _unpacked(workshop: Path) -> Path:
    root = workshop / "root"
    if not (root / "usr/bin/rustc").exists():
        shutil.rmtree(workshop, ignore_errors=True)
        packages = workshop / "packages"
        packages.mkdir(parents=True)
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], check=True, cwd=packages)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    return root


def _encoder(workshop: Path) -> Path:
    program = workshop / "node_modules/.bin/jco"
    if not program.exists():
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(workshop), ENCODER]
        subprocess.run(command, check=True)
    return program


def _compile(sources: Path, root: Path, target: Path) -> Path:
    # Where this machine has its sources is nobody's business, and would make other bytes.
    homes = {root: "/debian", os.environ.get("CARGO_HOME") or Path.home() / ".cargo": "/cargo"}
    environment = {
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(f"--remap-path-prefix={home}={name}" for home, name in homes.items()),
        "RUSTC": str(_runner(root, "rustc")),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(_runner(root, "wasm-ld-19")),
        "RUSTC_WRAPPER": "",
        "RUSTC_BOOTSTRAP": "1",
    }
    # The library for this target is not in the packages; its sources are.
    cargo.build(sources, "--target", TARGET, "-Z", "build-std=std,panic_abort", target=target, environment=environment)
    return target / TARGET / "release" / "probe_component.wasm"


def _runner(root: Path, program: str) -> Path:
    """A script that runs an unpacked program with its unpacked libraries."""
    script = root / program
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu exec {root}/usr/bin/{program} "$@"\n')
    script.chmod(0o755)
    return script


def main() -> None:
    """Make the prebuilt component anew, or one at the place given."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else COMPONENT
    print(build(output))
    if output == COMPONENT:
        STAMP.write_text(f"{cargo.digest(SOURCES)}\n")


if __name__ == "__main__":
    main()
