"""The specification that PyInstaller follows, run by it, in its process: the only module that knows its classes."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

from provider_packaging import trim
from provider_packaging.extras import SDK
from provider_packaging.guard import MARKER
from provider_packaging.plan import Form, Plan
from provider_packaging.sbom import ENTRY, encoded, software
from provider_sdk.provider_toml import read_provider_toml

FILE = "provider.spec"
PLAN = "plan.json"
TEXT = f"""\
from pathlib import Path

from provider_packaging.spec import build

build(Path(SPECPATH) / {PLAN!r})
"""
_SDK = SDK.replace("-", "_")

HOOK = "from provider_packaging import guard\n\nguard.stand()\ndel guard\n"


def prepare(folder: Path, plan: Plan) -> Path:
    """Write the specification and what it reads into `folder`; the specification's path."""
    plan.write(folder / PLAN)
    (folder / FILE).write_text(TEXT)
    (folder / "guard_hook.py").write_text(HOOK)
    # As `python -m` would start it: relative imports work, and the module is __main__.
    (folder / _script(plan)).write_text(f"import runpy\n\nrunpy.run_module({plan.module!r}, run_name='__main__', alter_sys=True)\n")
    marker = folder / MARKER
    marker.write_text("Unpacked by a wasmCloud provider; removed when it ends.\n")
    marker.chmod(0o755)  # executable: these are unpacked before other data, the first name first
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {SDK}\nVersion: {metadata.version(SDK)}\n")
    hooks = folder / "hooks"
    hooks.mkdir()
    for package, cut in plan.edges.items():
        (hooks / f"hook-{package}.py").write_text(_hook(package, cut))
    return folder / FILE


def _script(plan: Plan) -> str:
    """A name that no module can have: modules beside the script come first, and most providers are called as their module is."""
    return f"{plan.name}-program.py"


def _hook(package: str, cut: tuple[str, ...]) -> str:
    """A hook stands in for the one that PyInstaller, or its collection of them, has of that name: it does what that does, too."""
    before = ""
    for collection, folder in (("_pyinstaller_hooks_contrib", "stdhooks"), ("PyInstaller", "hooks")):
        found = importlib.util.find_spec(collection)
        for place in (found.submodule_search_locations or ()) if found else ():
            original = Path(place, folder, f"hook-{package}.py")
            if not before and original.is_file():
                before = f"import runpy\n\nglobals().update(runpy.run_path({str(original)!r}))\n"
    return f"{before}excludedimports = [*globals().get('excludedimports', ()), *{list(cut)!r}]\n"


def build(path: Path) -> None:
    """What PyInstaller does."""
    from PyInstaller.building.api import COLLECT, EXE, PYZ  # type: ignore[import-untyped]
    from PyInstaller.building.build_main import Analysis  # type: ignore[import-untyped]

    folder, plan = path.parent, Plan.read(path)
    analysis = Analysis(
        [str(folder / _script(plan))],
        pathex=plan.paths,
        hiddenimports=plan.hidden,
        hookspath=[str(folder / "hooks")],
        runtime_hooks=[str(folder / "guard_hook.py")],
        excludes=plan.excluded,
        datas=[(str(folder / "METADATA"), f"{_SDK}-{metadata.version(SDK)}.dist-info"), *plan.data],
        # Docstrings are printed by --help, and a program that drops assertions is not the one that was tested.
        optimize=0,
    )
    data = [entry for entry in analysis.datas if _is_kept(entry, folder, plan)]
    data.append((ENTRY, str(_listed(folder, plan, [*analysis.pure, *analysis.binaries, *data])), "DATA"))
    options: dict[str, Any] = {"name": plan.name, "strip": plan.strip, "upx": False, "console": True}
    if plan.form is Form.ONEDIR:
        program = EXE(PYZ(analysis.pure), analysis.scripts, exclude_binaries=True, **options)
        COLLECT(program, analysis.binaries, data, name=plan.name, strip=plan.strip, upx=False)
    else:
        data.append((MARKER, str(folder / MARKER), "DATA"))
        EXE(PYZ(analysis.pure), analysis.scripts, analysis.binaries, data, **options)


def _listed(folder: Path, plan: Plan, contents: list[tuple[str, str, str]]) -> Path:
    """The list of the software inside, to be embedded."""
    taken = [(name, source) for name, source, _ in contents if not Path(source).is_relative_to(folder)]
    path = folder / ENTRY
    path.write_bytes(encoded(software(read_provider_toml(Path(plan.provider)), taken)))
    return path


def _is_kept(entry: tuple[str, str, str], folder: Path, plan: Plan) -> bool:
    target, source = entry[0].replace("\\", "/"), entry[1]
    if Path(source).parent == folder:
        return True
    top = target.partition("/")[0]
    if top.startswith(_SDK) and top.endswith(trim.INFO):
        return False
    if any(target.startswith(f"{package.replace('.', '/')}/") for package in plan.own_data):
        return any(source == file for file, _ in plan.data)
    return trim.is_kept(target)
