"""The words and signs of a WIT file, each with its place and the documentation before it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from provider_sdk.cli.wit.model import Place
from provider_sdk.errors import InvalidArgument

_SPACE = re.compile(r"\s+")
_LINE = re.compile(r"//[^\n]*")
_NAME = re.compile(r"%?[A-Za-z][0-9A-Za-z]*(?:-[0-9A-Za-z]+)*")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_NUMBER = re.compile(r"\d+")
_SIGN = re.compile(r"->|[{}()<>,;:.=/@*_]")
_KINDS = (("name", _NAME), ("version", _VERSION), ("number", _NUMBER), ("sign", _SIGN))


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is name, version, number, sign or end; `escaped` is a name that was written with `%`, which `text` has not."""

    kind: str
    text: str
    place: Place
    docs: str = ""
    escaped: bool = False

    @property
    def shown(self) -> str:
        """The token as messages have it."""
        return "the end of the file" if self.kind == "end" else f"`{'%' if self.escaped else ''}{self.text}`"


def tokens(text: str, file: str) -> list[Token]:
    """All tokens and an end; InvalidArgument `FILE:LINE:COLUMN: …` for what is none."""
    reader = _Reader(text, file)
    found = []
    while True:
        docs = reader.skip()
        token = reader.token(docs)
        found.append(token)
        if token.kind == "end":
            return found


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        self._file = file
        self._at = 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", self._text))]

    def skip(self) -> str:
        """Go past spaces and comments; what those of documentation say."""
        docs: list[str] = []
        while True:
            if found := _SPACE.match(self._text, self._at):
                self._at = found.end()
            elif found := _LINE.match(self._text, self._at):
                self._at = found.end()
                if found[0].startswith("///"):
                    docs.append(found[0][3:].removeprefix(" ").rstrip())
            elif self._text.startswith("/*", self._at):
                comment = self._block()
                if comment.startswith("/**") and len(comment) > len("/***/"):
                    docs += [line.strip().removeprefix("*").strip() for line in comment[3:-2].strip().splitlines()]
            else:
                return "\n".join(docs).strip("\n")

    def token(self, docs: str) -> Token:
        place = self._place()
        if self._at == len(self._text):
            return Token("end", "", place, docs)
        for kind, pattern in _KINDS:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                escaped = found[0].startswith("%")
                return Token(kind, found[0].removeprefix("%"), place, docs, escaped)
        raise InvalidArgument(f"{place}: {self._text[self._at]!r} has no meaning in WIT")

    def _block(self) -> str:
        """A comment to its end; they nest."""
        start, depth = self._at, 0
        for found in re.compile(r"/\*|\*/").finditer(self._text, start):
            depth += 1 if found[0] == "/*" else -1
            if not depth:
                self._at = found.end()
                return self._text[start : self._at]
        raise InvalidArgument(f"{self._place()}: expected `*/`, found the end of the file")

    def _place(self) -> Place:
        line = bisect_right(self._lines, self._at)
        return Place(self._file, line, self._at - self._lines[line - 1] + 1)
