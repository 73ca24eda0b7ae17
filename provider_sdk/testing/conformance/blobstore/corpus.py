"""Names that have broken stores: they mean nothing, each is only itself."""

from __future__ import annotations

_FILES = [
    *(" ", "  ", "a", "A", "aa", "ab", "a ", " a", "a.", ".a", "..a", "a..", "...", "a b", "-", "--help", "~", "~root"),
    *("CON", "nul", "aux.txt", "com1", "C:", "a:b", "Thumbs.db", ".DS_Store", "desktop.ini", "index.html", "x" * 255, "é" * 127),
]
_FOLDERS = [
    *("b/c", "b/C", "b/d/e", "B/c", "b /c", "b./c", ".b/c", ".git/config", "tmp/.part", "etc/passwd", "..b/c", "b../c"),
    *("漢字/日本", "--/b", "~a/b", "%2e/%2e/a", "x/" * 200 + "x", "/".join(["d" * 200] * 4)),
]
_PATTERNS = [
    *("%", "%%", "%41", "%2F", "%2e%2e", "a%2Fb", "a%00b", "%s", "a+b", "+", "a&b=c", "?", "a?b", "#", "a#b", "*", "a*", "[a]", "{a}"),
    *("\\", "a\\b", "$HOME", "`id`", "$(a)", "'", '"', "<a>", "&amp;", "|", ";", ",", "=", "@", "!", "^", "_", "null", "0", "-1"),
]
_UNICODE = [
    "é",
    "e\u0301",
    "ß",
    "SS",
    "ss",
    "\u0130",
    "\u0131",
    "日本語",
    "😀",
    "\u202ea",
    "\ufeff",
    "\ufeffa",
    "\u2028",
    "\u200b",
    "\ufffd",
    "\U0010fffd",
]

NAMES = (*_FILES, *_FOLDERS, *_PATTERNS, *_UNICODE)
"""What every store takes as the names of objects; none is the folder of another."""

_EMPTY = ["/", "//", "/a", "a/", "a//", "a//b", "b//c", "/b/c", "b/c/", "//etc/passwd"]
_DOTS = [
    ".",
    "..",
    ". ",
    " ..",
    "a/. /b",
    "./a",
    "a/.",
    "a/..",
    "a/./b",
    "a/../b",
    "../a",
    "../../a",
    "../../../../../../etc/passwd",
    "/../a",
    "b/..",
    "b/../..",
]
_CONTROLS = ["\0", "a\0", "a\0b", "\n", "a\nb", "\r\n", "\t", "a\t", "\x01", "\x1b[0m", "\x7f", "a\x7f", "b/\0", "b/\n/c"]

ODD_NAMES = (*_EMPTY, *_DOTS, *_CONTROLS, "x" * 256, "x" * 1024, "é" * 512, "b/" + "x" * 256)
"""What a store takes as the names of objects that declares ANY_NAME."""

BUCKETS = ("000", "abc", "abc-d", "abc.d", "abc0", "abcd", "box", "z9z")
"""Names of containers that every store takes, in the order of their bytes; a prefix may stand before them."""

NO_BUCKETS = (
    *("a", "ab", "Abc", "ABC", "a_b", "abc_", "-abc", "abc-", ".abc", "abc.", "a..b", "..", ".", "...", "é" * 3, "e\u0301abc", "a b"),
    *("abc ", " abc", "a/b", "abc/", "/abc", "../abc", "abc/..", "a\\b", "\0abc", "abc\0", "abc\n", "a%2Fb", "abc*", "日本語", "x" * 64),
)
"""Names of containers that a store refuses which does not declare ANY_CONTAINER."""

ANY_CONTAINERS = (
    *NO_BUCKETS,
    *("abc", "/", "//", "%", "%2F", "CON", "nul", "~", "*", "'", '"', "a+b", "a?b", "é", "e\u0301", "😀", "x" * 255),
)
"""Names of containers that a store takes which declares it."""
