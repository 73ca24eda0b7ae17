"""Routing modes path and host (wrpc-1x.md §5.2): a link answers for exactly one path, or one value of a header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic

from provider_sdk import AlreadyExists
from providers.httpserver.routes import S


class ExactRoutes(Generic[S]):
    """The routes of one address in these modes. The newest site of a link answers, the others are on their way out."""

    def __init__(self) -> None:
        self._paths: dict[str, list[S]] = {}
        self._headers: dict[str, dict[str, list[S]]] = {}

    def __bool__(self) -> bool:
        return bool(self._paths or self._headers)

    def __iter__(self) -> Iterator[S]:
        return (site for values in self._tables() for sites in values.values() for site in sites)

    def _tables(self) -> list[dict[str, list[S]]]:
        return [self._paths, *self._headers.values()]

    def add_path(self, path: str, site: S) -> None:
        """Have `site` answer for one path; AlreadyExists, with a line that names the other, where another link does."""
        _add(self._paths, path, site, f"path {path}")

    def add_value(self, header: str, value: str, site: S) -> None:
        """The same for requests that have this value in a header, named in lower case."""
        _add(self._headers.setdefault(header, {}), value, site, f"{header} {value}")

    def remove(self, site: S) -> None:
        """Take the site's route away."""
        for values in self._tables():
            for value, sites in list(values.items()):
                if site in sites:
                    sites.remove(site)
                if not sites:
                    del values[value]
        self._headers = {header: values for header, values in self._headers.items() if values}

    def find(self, path: str, header: Mapping[str, str]) -> S | None:
        """The site for a request to `path` as it was sent, without its query."""
        sites = self._paths.get(path)
        for name, values in self._headers.items():
            sites = sites or values.get(header.get(name, ""))
        return sites[-1] if sites else None

    def refusal(self, header: Mapping[str, str]) -> tuple[int, str]:
        """Status and reason, in the official words, where no site was found."""
        if self._paths:
            return 404, "path not found"
        given = [header[name] for name in self._headers if name in header]
        if not given:
            return 400, "missing host header"
        return (404, "host not found") if all(value.isascii() and value.isprintable() for value in given) else (400, "invalid host header")


def _add(sites: dict[str, list[S]], value: str, site: S, what: str) -> None:
    there = sites.get(value)
    if there and there[-1].owner != site.owner:
        raise AlreadyExists(f"{what} is taken by the link {there[-1].owner}: give this one another")
    sites.setdefault(value, []).append(site)
