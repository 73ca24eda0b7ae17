"""The reference codec of 1.x values, wrpc-codec/: wRPC's own library and the code its generator makes. Built once by `.ci/codec-tool`."""

from __future__ import annotations

import subprocess
from types import TracebackType
from typing import Self

from tests.tools.reference import Reference

NAME = "wrpc-codec"
TOOL = Reference(NAME)


class Codec:
    """The program, running: `with Codec() as codec: codec.read("u32", b"\\xac\\x02")`."""

    def __enter__(self) -> Self:
        program = TOOL.found()
        assert program is not None
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=10)

    def read(self, name: str, data: bytes) -> list[str]:
        """What becomes of bytes as a type: `ok` or `rest`, the value written again, and as Rust shows it; `incomplete`; `wrong`, why."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {data.hex()}\n")
        return self._process.stdout.readline().rstrip("\n").split(" ", 2)


def main() -> None:
    """Build it where it is missing."""
    print(f"{NAME}: {TOOL.build()}")


if __name__ == "__main__":
    main()
