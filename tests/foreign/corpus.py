"""The requests in gunicorn's source distribution, read as data: nothing of it is imported, run or kept in this repository."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provider_sdk.contracts.httpserver import HttpRequest
from tests.built_once import downloading

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "foreign"
LOCK = Path(__file__).with_name("requirements.txt")
REQUESTS = re.compile(r"[^/]+/tests/requests/((?:valid|invalid)/[\w-]+\.(?:http|py))")
ESCAPE = re.compile(rb"\\(?:([rnt0])|x([0-9A-Fa-f]{2}))")
CONTROLS = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}


@dataclass(frozen=True)
class Case:
    """One file: what is sent, the settings of gunicorn it is about, and either the requests in it or the name of the error."""

    data: bytes
    settings: Mapping[str, Any]
    requests: tuple[HttpRequest, ...] = ()
    versions: tuple[tuple[int, int], ...] = ()
    trailers: bool = False
    error: str = ""


def fetch() -> Path:
    """The folder with `valid` and `invalid`; downloaded once, by pip, which checks the hash."""
    pin = re.search(r"^(\w+)==(\S+)", LOCK.read_text("utf-8"), re.MULTILINE)
    assert pin
    folder = CACHE / f"{pin[1]}-{pin[2]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            _unpack(_download(Path(temporary)), Path(temporary, "requests"))
            Path(temporary, "requests").rename(folder)
    return folder


def _download(folder: Path) -> Path:
    # Only the source distribution has the pinned hash. pip has its metadata made, with the setuptools that is here: one download.
    flags = ["--no-deps", "--no-build-isolation", "--require-hashes", "--disable-pip-version-check", "--no-input", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *flags, "--dest", str(folder), "--requirement", str(LOCK)]
    done = downloading(command, capture_output=True, text=True)
    assert done.returncode == 0, f"the package registry did not give the source distribution that {LOCK.name} pins:\n{done.stderr}"
    return next(folder.glob("*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as files:
        for member in files:
            found = REQUESTS.fullmatch(member.name)
            content = files.extractfile(member) if found else None
            if found and content:
                path = folder / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())


def names(folder: Path) -> list[str]:
    """Every case, in order."""
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.glob("*/*.http"))


def read(folder: Path, name: str) -> Case:
    """The case `valid/001`, say."""
    settings, names = _statements((folder / f"{name}.py").read_text("utf-8"))
    data = decode((folder / f"{name}.http").read_bytes())
    given = names["request"]
    if name.startswith("invalid/"):
        return Case(data, settings, error=given)
    requests = given if isinstance(given, list) else [given]
    versions = tuple(tuple(request["version"]) for request in requests)
    return Case(data, settings, tuple(map(_request, requests)), versions, any("trailers" in request for request in requests))


def decode(text: bytes) -> bytes:
    """The bytes that a file stands for: ends of lines mean nothing, control characters are written as escapes."""
    return ESCAPE.sub(lambda found: CONTROLS[found[1]] if found[1] else bytes([int(found[2], 16)]), text.replace(b"\n", b""))


def with_host(case: Case) -> Case:
    """The case with a Host in each request of HTTP/1.1, where its file has none at all."""
    first = case.data.lstrip(b"\r\n").partition(b"\r\n")[0]
    if b"host:" in case.data.lower() or not (first.endswith(b"HTTP/1.1") or first.startswith(b"PROXY") or len(case.requests) > 1):
        return case
    data = re.sub(rb"( HTTP/1\.1\r\n)", rb"\1Host: corpus\r\n", case.data, count=len(case.requests) or 1)
    hosts = [{"host": ["corpus"]} if version == (1, 1) else {} for version in case.versions]
    requests = (replace(request, header=host | request.header) for request, host in zip(case.requests, hosts, strict=True))
    return replace(case, data=data, requests=tuple(requests))


def _statements(source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings, `cfg.set(name, value)`, and the names that are given values."""
    settings: dict[str, Any] = {}
    names: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=node) if name != "cfg":
                names[name] = _value(node, names)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="cfg"), attr="set"), args=[ast.Constant(value=key), node])):
                settings[str(key)] = _value(node, names)
    return settings, names


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """The value of the few kinds of expressions that the files have; the name itself for one that was imported, an exception."""
    match node:
        case ast.Call(func=ast.Name(id="uri"), args=[text]):
            return _value(text, names)
        case ast.Call(func=ast.Attribute(value=text, attr="replace" | "encode" | "decode" as method), args=arguments):
            return getattr(_value(text, names), method)(*(_value(item, names) for item in arguments))
        case ast.Dict(keys=keys, values=values):
            return {_value(key, names): _value(value, names) for key, value in zip(keys, values, strict=True) if key}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, names) for item in items]
        case ast.Name(id=name):
            return names.get(name, name)
        case _:
            return ast.literal_eval(node)


def _request(given: dict[str, Any]) -> HttpRequest:
    """What an actor sees of it: wasmbus-0x.md §8.1."""
    path, _, query = _origin_form(given["uri"].partition("#")[0]).partition("?")
    header: dict[str, list[str]] = {}
    for name, value in given["headers"]:
        if value.isascii() and value.isprintable():
            header.setdefault(name.lower(), []).append(value)
    body = given["body"]
    return HttpRequest(given["method"], path, query, header, body if isinstance(body, bytes) else body.encode("latin-1"))


def _origin_form(target: str) -> str:
    return re.sub(r"^\w+://[^/?]*", "", target) or "/"
