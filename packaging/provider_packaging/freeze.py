"""A provider as a program that needs no Python: PyInstaller, told what provider.toml says, in a process and a folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provider_packaging import epoch, spec
from provider_packaging.plan import Form, make_plan
from provider_sdk.errors import Unavailable
from provider_sdk.provider_toml import ProviderToml

__all__ = ["Form", "freeze"]

_ENDED_WITHIN = 5.0
_KEPT = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_CAUSE = re.compile(r"^(?:\d+ (?:ERROR|CRITICAL): |ERROR: |[\w.]*(?:Error|Exception|Exit)\b: ?)(.+)", re.MULTILINE)


def freeze(provider: ProviderToml, output: Path, *, form: Form = Form.ONEFILE) -> Path:
    """Make the program `output`, a file or for Form.ONEDIR a folder; what was there is replaced when the new one is whole.

    The same sources, packages and interpreter give the same bytes, wherever they lie. NotFound and InvalidArgument for what provider.toml
    asks for; Unavailable with the cause, and where PyInstaller's own words are, for what fails.
    """
    strip = sys.platform == "linux"
    if strip and shutil.which("strip") is None:
        raise Unavailable("the program strip is not there, which takes symbols out: install binutils")
    plan = make_plan(provider, form, strip=strip)
    output = output.resolve()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{output.name}.", dir=output.parent) as name:
            folder = Path(name)
            _run(spec.prepare(folder, plan), folder, output.with_name(f"{output.name}.log"))
            made = folder / "dist" / (f"{plan.name}.exe" if os.name == "nt" and form is Form.ONEFILE else plan.name)
            if output.is_dir() and not output.is_symlink():
                shutil.rmtree(output)
            made.replace(output)
    except OSError as error:
        raise Unavailable(f"{output} cannot be made: {error.strerror or error}", retryable=False) from error
    return output


def _run(specification: Path, folder: Path, log: Path) -> None:
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    command += ["--distpath", str(folder / "dist"), "--workpath", str(folder / "work"), str(specification)]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {
        "LC_ALL": "C.UTF-8",
        "PYINSTALLER_CONFIG_DIR": str(folder / "config"),
        "PYTHONHASHSEED": "0",
        epoch.VARIABLE: str(epoch.EARLIEST if (given := epoch.told()) is None else given),
        # Code that was read from a cache is written otherwise than code that was compiled: here all is compiled.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
    }
    code, words = _ended(command, folder, environment)
    if code:
        cause = _cause(words.decode(errors="replace"))
        try:
            log.write_bytes(words)
        except OSError:
            log.unlink(missing_ok=True)
            raise Unavailable(cause) from None
        raise Unavailable(f"{cause}; PyInstaller's own words: {log}")
    log.unlink(missing_ok=True)


def _ended(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, bytes]:
    """Exit code and words. Interrupted, it is ended with all that it has started, which would write on into a folder that is gone."""
    own = os.name == "posix"
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=own,
    ) as process:
        try:
            words, _ = process.communicate()
        except BaseException:
            if own:
                _end_group(process)
            process.kill()
            raise
    return process.returncode, words


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _ENDED_WITHIN
    # There is nothing to kill when nobody of it is left; a zombie that nobody awaits is there for ever.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        while time.monotonic() < end:
            os.killpg(leader.pid, 0)
            time.sleep(0.01)


def _cause(words: str) -> str:
    if "PythonLibraryNotFound" in words:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"this Python has no shared library, which a frozen program is built on: install libpython{version} (Debian), or a Python that"
            " was built with --enable-shared"
        )
    if "No module named PyInstaller" in words:
        return "PyInstaller is not installed: pip install 'provider-sdk[package]'"
    found = _CAUSE.findall(words)
    return f"the program could not be frozen: {found[-1].strip()[:300] if found else 'PyInstaller failed'}"
