"""The text of a wadm manifest: YAML whose parts know their lines, and the problems that were found in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provider_sdk.errors import InvalidArgument, NotFound

_NAME = re.compile(r"[-\w]+")
Where = tuple[str | int, ...]
"""A place in the document: keys and indices from its root."""


class WrongManifest(InvalidArgument):
    """A manifest that is not accepted. The message has its problems and its warnings, which are lines `FILE:LINE: …`, by line."""

    def __init__(self, message: str, problems: tuple[str, ...], warnings: tuple[str, ...]) -> None:
        super().__init__(message)
        self.problems, self.warnings = problems, warnings


class ManifestText:
    """A manifest that is being read. `problem` and `warn` gather lines `FILE:LINE: …`; `raise_problems` ends the reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[Where, int] = {}
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []
        self.document = self._load(_content(path))

    def _load(self, text: str) -> Any:
        import yaml

        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is None:
                raise InvalidArgument(f"{self.path}:1: the manifest is empty")
            self._note(node, ())
            return yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InvalidArgument(f"{self.path}:{line}: not YAML: {error.problem}") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise InvalidArgument(f"{self.path}:1: not YAML: {error}") from None

    def _note(self, node: Any, where: Where) -> None:
        import yaml

        self._lines[where] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._note(value, (*where, key.value))
                self._lines[(*where, key.value)] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._note(value, (*where, index))

    def name(self) -> str:
        """The application's name; what is wrong at the top of the document becomes a problem, or raises InvalidArgument."""
        document = self.document
        if not isinstance(document, dict):
            raise InvalidArgument(f"{self.path}:1: expected a manifest (apiVersion, kind: Application, metadata, spec)")
        if document.get("kind") != "Application":
            self.problem(("kind",), "kind: expected Application")
        name = self.text(document.get("metadata"), ("metadata",), "name")
        if name and not _NAME.fullmatch(name):
            self.problem(("metadata", "name"), "metadata.name: only letters, digits, _ and - may be in it")
        return name

    def line(self, where: Where) -> int:
        """The line of a place, or of what holds it."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)

    def key_lines(self, values: dict[Any, Any], where: Where) -> dict[str, int]:
        """The line of each key of the map `values`, which stands at `where`."""
        return {str(key): self.line((*where, key)) for key in values}

    def problem(self, where: Where, text: str) -> None:
        """Note what cannot be accepted."""
        self.problem_at(self.line(where), text)

    def problem_at(self, line: int, text: str) -> None:
        """Note what cannot be accepted in a line."""
        self._problems.append((line, text))

    def warn(self, where: Where, text: str) -> None:
        """Note what is taken otherwise than it may be meant."""
        self._warnings.append((self.line(where), text))

    def raise_problems(self) -> None:
        """WrongManifest, where there is a problem."""
        if self._problems:
            warnings = [(line, f"warning: {text}") for line, text in self._warnings]
            raise WrongManifest("\n".join(self._told(self._problems + warnings)), self._told(self._problems), self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each warning."""
        return self._told(self._warnings)

    def _told(self, lines: list[tuple[int, str]]) -> tuple[str, ...]:
        return tuple(f"{self.path}:{line}: {text}" for line, text in sorted(lines))

    def text(self, holder: Any, where: Where, name: str, default: str | None = None) -> str:
        """A member that is text, not empty unless there is a `default`; empty for a problem."""
        value = holder.get(name, default) if isinstance(holder, dict) else default
        if not isinstance(value, str) or not (value or default is not None):
            self.problem((*where, name), f"{name}: {'missing' if value is None else 'expected text'}")
            return ""
        return value

    def items(self, value: Any, where: Where, what: str) -> Iterator[tuple[Where, dict[str, Any]]]:
        """The maps of a list, with their places."""
        if value is None:
            return
        if not isinstance(value, list):
            self.problem(where, f"{what}: expected a list")
            return
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*where, index), item
            else:
                self.problem((*where, index), f"{what}: expected a map")


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path}: cannot be read: {error}") from None
