"""Keys and values that have broken stores: as names they mean nothing, each is only itself."""

from __future__ import annotations

_PLAIN = ["", " ", "  ", "a", "A", "a ", " a", "aa", "ab", "a\t", "\t", "\n", "\r\n", "a\n", "a\nb", "\v", "\x7f", "\x1b[0m"]
_BYTES = ["\0", "\0\0", "a\0", "a\0b", "\0a", "\x01", "\x80", "\xff"]
_PATHS = [
    "a:",
    ":a",
    "a:b",
    "a::b",
    ":",
    "a/",
    "a/b",
    "/",
    "//",
    "a.b",
    ".",
    "..",
    "../a",
    "../../etc/passwd",
    "a\\b",
    "\\",
    "\\0",
    "\\x00",
]
_PATTERNS = [
    "*",
    "a*",
    "?",
    "[a]",
    "[^a]",
    "{a}",
    "{a}b",
    "{}",
    "%",
    "a%",
    "%s",
    "%00",
    "%2F",
    "%25",
    "_",
    "a_",
    "$1",
    "#",
    "@",
    "!",
    "|",
    ";",
]
_CODE = ["'", '"', "`", "''", "--", "'; DROP TABLE keyvalue; --", "<a>", "&amp;", "${a}", "$(a)", "null", "None", "true", "0", "-1", "1e3"]
_UNICODE = ["é", "e\u0301", "ß", "SS", "日本語", "😀", "\u202ea", "\ufeff", "\ufeffa", "\u2028", "\u200b", "\ufffd", "\uffff", "\U0010ffff"]

KEYS = (*_PLAIN, *_BYTES, *_PATHS, *_PATTERNS, *_CODE, *_UNICODE)

_TEXTS = [
    "",
    " ",
    "a",
    " a ",
    "\0",
    "a\0b",
    "\0" * 5,
    "\n",
    "a\r\nb",
    "\\",
    "\\x00",
    "'",
    '"',
    "%s",
    "0",
    "-0",
    "00",
    "1.0",
    "null",
    '{"a": [1]}',
]

VALUES = (*_TEXTS, *_UNICODE, "😀" * 10, "<a>&amp;", "x" * 5000, "é" * 5000)

_NAMES = [
    "a",
    "A",
    "aa",
    "a ",
    "a:",
    "a:b",
    "a/",
    "a/b",
    "a%2Fb",
    "a.b",
    "a*",
    "*",
    "?",
    "a?",
    "[a]",
    "{a}",
    "{a}:b",
    "a_b",
    "a%",
    "%",
    "_",
]

NAMESPACES = (*_NAMES, "-", "'", '"', "\\", "é", "e\u0301", "日本語", "😀", "0", "null", "..", "../a", "x" * 100)

NO_NUMBERS = (
    "",
    " ",
    "a",
    "1a",
    " 1",
    "1 ",
    "1\n",
    "+1",
    "-",
    "--1",
    "1.0",
    "1e3",
    "0x1",
    "1_000",
    "1,000",
    "\uff11",
    "\0",
    "1\0",
    "NaN",
    "true",
)
