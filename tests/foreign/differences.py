"""Where the httpserver reads the corpus otherwise than gunicorn does, and the section of the RFC for each.

`python -m tests.foreign.differences` prints the table of docs/http-parsing.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ours(StrEnum):
    """What the httpserver makes of it."""

    REFUSED = "refused"
    READ = "read"
    AWAITED = "waits for the rest"
    FIRST_ONLY = "reads the first, then closes"
    FIRST_LOST = "refused with what is behind it in the same segment"


@dataclass(frozen=True)
class Difference:
    """What we make of a file, where the RFC speaks of it, and why; `saw` is what the actor sees where the corpus has no request."""

    ours: Ours
    section: str
    reason: str
    saw: tuple[str, ...] = ()


def refused(section: str, reason: str) -> Difference:
    return Difference(Ours.REFUSED, section, reason)


def read(section: str, reason: str, *saw: str) -> Difference:
    return Difference(Ours.READ, section, reason, saw)


LINE_LIMIT = "8190 bytes for the target; gunicorn's limit is set otherwise for this file"
FIELD_LIMIT = "8190 bytes for a field; gunicorn's limit is set otherwise for this file"
CODING = "no coding but `chunked` is undone, so none but that is taken"
METHODS = "only methods that are registered are known"
FOLDING = "a folded line is refused; the other way that the RFC allows, to unfold it, is a setting of gunicorn"
PROXY = "the PROXY protocol is not spoken"
UNDERSCORES = "`_` is a letter like others in a name: no environment variables are made of names, so that nothing is mixed up"
LOST = "the parser gives up the segment: one 400, nothing reaches the actor; sent apart, the first is answered"
AFTER_CHUNKS = "a chunked body is the last of its connection: the parser would give its last trailer to the request behind it as a header"
TUNNEL = "no tunnels are made: CONNECT is refused, since who sent it takes what follows for another protocol"

DIFFERENCES = {
    "valid/012": read("RFC 9110 §6.5.1", "trailers are dropped: the contract has no place for them"),
    "valid/013": refused("RFC 9112 §7.1.1", "no blanks in chunk extensions; stricter than the RFC, which has them tolerated"),
    "valid/019": Difference(Ours.FIRST_LOST, "RFC 9112 §9.3", f"bytes behind the last request of a connection: {LOST}"),
    "valid/021": Difference(Ours.FIRST_LOST, "RFC 9112 §9.6", f"bytes behind `Connection: close`: {LOST}"),
    "valid/023": Difference(Ours.FIRST_ONLY, "RFC 9112 §9.3", AFTER_CHUNKS),
    "valid/024": refused("RFC 9112 §3", LINE_LIMIT),
    "valid/025": refused("RFC 9112 §6.1", CODING),
    "valid/025_line": refused("RFC 9112 §6.1", CODING),
    "valid/026": refused("RFC 9110 §5.4", FIELD_LIMIT),
    "valid/028": refused("RFC 9112 §5.1", "a blank before the colon is refused, as the RFC demands; gunicorn has a setting to take it"),
    "valid/029": refused("RFC 9112 §6.1", CODING),
    "valid/030": refused("RFC 9112 §6.1", CODING),
    "valid/031": refused("RFC 9110 §9.1", METHODS),
    "valid/031compat": refused("RFC 9110 §9.1", METHODS),
    "valid/031compat2": refused("RFC 9110 §9.1", METHODS),
    "valid/040": read("RFC 9110 §5.1", UNDERSCORES),
    "valid/099": Difference(Ours.AWAITED, "RFC 9112 §8", "a body shorter than its Content-Length is incomplete, whatever follows"),
    "valid/compat_obs_fold": refused("RFC 9112 §5.2", FOLDING),
    "valid/compat_obs_fold_huge": refused("RFC 9112 §5.2", FOLDING),
    "valid/pp_01": refused("RFC 9112 §3", PROXY),
    "valid/pp_02": refused("RFC 9112 §3", PROXY),
    "valid/pp_04": refused("RFC 9112 §3", PROXY),
    "valid/pp_05": refused("RFC 9112 §3", PROXY),
    "valid/rfc9112_smuggle_gzip_chunked_01": refused("RFC 9112 §6.1", CODING),
    "valid/rfc9112_smuggle_te_identity_chunked_01": refused("RFC 9112 §6.1", CODING),
    "valid/rfc9112_target_authority_connect_01": refused("RFC 9110 §9.3.6", TUNNEL),
    "valid/rfc9112_target_authority_ipv6_01": refused("RFC 9110 §9.3.6", TUNNEL),
    "invalid/006": read("RFC 9112 §3", "a target of 4 KiB: gunicorn's limit is below the 8000 bytes that the RFC recommends", "PUT /q=…"),
    "invalid/008": read("RFC 9110 §5.4", FIELD_LIMIT, "PUT /stuff/here?foo=bar"),
    "invalid/010": read("RFC 9110 §5.4", FIELD_LIMIT, "GET /test"),
    "invalid/011": read("RFC 9110 §5.4", "100 fields; gunicorn's limit is set to 2 for this file", "GET /test"),
    "invalid/012": read("RFC 9110 §5.4", FIELD_LIMIT, "GET /test"),
    "invalid/017": read("RFC 9110 §5.4", "8190 bytes are counted without the end of the line and the blank", "GET /test"),
    "invalid/019": read("RFC 9110 §5.1", "X-Forwarded-* that contradict each other are no concern of the parser", "GET /test"),
    "invalid/040": read("RFC 9110 §5.1", UNDERSCORES, "GET /keep/same/as?invalid/040 tricked"),
    "invalid/chunked_07": read("RFC 9110 §5.1", UNDERSCORES, "POST /chunked_ambiguous_header_mapping hello world"),
    "invalid/limit_header_default_01": read("RFC 9110 §5.4", "8190 bytes are counted without the end of the line and the blank", "GET /"),
    "invalid/rfc9110_trailer_forbidden_host_01": read("RFC 9110 §6.5.1", "trailers are dropped, whatever they say", "POST /p hello"),
    "invalid/rfc9112_leading_crlf_02": read("RFC 9112 §2.2", "at least one empty line before a request is to be ignored; two are", "GET /"),
}
"""By file. HTTP/1.1 without Host is refused besides (RFC 9112 §3.2): files without it are sent as they are, and once more with it."""


def table() -> str:
    """The differences, those of one reason in one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for name, difference in DIFFERENCES.items():
        valid = name.startswith("valid/")
        ours = "read otherwise" if valid and difference.ours is Ours.READ else difference.ours
        rows.setdefault((f"{'read' if valid else 'refused'} | {ours}", difference.section, difference.reason), []).append(f"`{name}`")
    head = ["| file | gunicorn | httpserver | RFC | why |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {', '.join(names)} | {' | '.join(row)} |" for row, names in rows.items())])


if __name__ == "__main__":
    print(table())
