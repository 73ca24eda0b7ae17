"""Inputs that two readers of HTTP may take for different requests, after the literature on request smuggling.

Each hides a request for `/smuggled` where only a reader that errs finds one. The names say what is odd.
"""

from __future__ import annotations

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"


def post(*fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A POST to /first with a Host and these lines of fields."""
    return b"\r\n".join([b"POST /first " + version, b"Host: here", *fields, b"", body])


def get(*fields: bytes) -> bytes:
    """A GET of /first with a Host, these lines of fields, and the smuggled request behind it."""
    return b"\r\n".join([b"GET /first HTTP/1.1", b"Host: here", *fields, b"", SMUGGLED])


def length(value: bytes) -> bytes:
    """A Content-Length that says 5 to some readers, with the smuggled request where its body would end."""
    return post(b"Content-Length: " + value, body=b"hello" + SMUGGLED)


def line(raw: bytes) -> bytes:
    """`raw` among the lines of fields of a request without a body, and the smuggled request behind it."""
    return get(raw)


def framed_both_ways(*fields: bytes) -> bytes:
    """The fields, and a body that ends at once for a reader of chunks, and behind the smuggled request for one that goes by the length."""
    body = END + SMUGGLED
    return post(b"Content-Length: %d" % len(body), *fields, body=body)


def chunks(body: bytes) -> bytes:
    """A chunked body that a strict reader does not take, and the smuggled request behind it."""
    return post(CHUNKED, body=body + SMUGGLED)


def start(raw: bytes) -> bytes:
    """A request line that a strict reader does not take."""
    return raw + b"\r\nHost: here\r\n\r\n" + SMUGGLED


LENGTHS = {
    "two that differ": post(b"Content-Length: 5", b"Content-Length: 43", body=b"hello" + SMUGGLED),
    "two that are the same": post(b"Content-Length: 5", b"content-length: 5", body=b"hello" + SMUGGLED),
    "a list": length(b"5, 5"),
    "a list that differs": length(b"5, 43"),
    "a plus": length(b"+5"),
    "a minus": length(b"-5"),
    "minus zero": length(b"-0"),
    "two numbers": length(b"5 5"),
    "hexadecimal": length(b"0x5"),
    "an underscore": length(b"0_5"),
    "a fraction": length(b"5.0"),
    "an exponent": length(b"5e0"),
    "junk behind it": length(b"5;"),
    "quotes": length(b'"5"'),
    "full-width digits": length("\uff15".encode()),
    "Arabic digits": length("\u0665".encode()),
    "nothing": length(b""),
    "blanks": length(b" \t "),
    "a vertical tab": length(b"\x0b5"),
    "a form feed": length(b"5\x0c"),
    "a NUL": length(b"5\0"),
    "a no-break space": length(b"\xa05"),
    "2^64 + 5": length(b"18446744073709551621"),
    "2^32 + 5 in 40 digits": length(b"9999999999999999999999999999994294967301"),
    "folded": length(b"\r\n 5"),
    "a folded second line": length(b"5\r\n 5"),
    "a blank before the colon": post(b"Content-Length : 5", body=b"hello" + SMUGGLED),
    "a NUL in its name": post(b"Content-Length\0: 5", body=b"hello" + SMUGGLED),
    "a no-break space in its name": post(b"Content-Length\xa0: 5", body=b"hello" + SMUGGLED),
    "in a line that a bare LF ends": post(b"X: 1\nContent-Length: 5", body=b"hello" + SMUGGLED),
    "in a line that a bare CR ends": post(b"X: 1\rContent-Length: 5", body=b"hello" + SMUGGLED),
    "with identity": post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello" + SMUGGLED),
    "with chunked": framed_both_ways(CHUNKED),
    "behind chunked": post(CHUNKED, b"Content-Length: 5", body=END + SMUGGLED),
}

CODINGS = {
    name: framed_both_ways(field)
    for name, field in {
        "a blank before the colon": b"Transfer-Encoding : chunked",
        "a tab before the colon": b"Transfer-Encoding\t: chunked",
        "a vertical tab before it": b"Transfer-Encoding:\x0bchunked",
        "a form feed behind it": b"Transfer-Encoding: chunked\x0c",
        "a NUL behind it": b"Transfer-Encoding: chunked\0",
        "a NUL before it": b"Transfer-Encoding: \0chunked",
        "a prefix": b"Transfer-Encoding: xchunked",
        "a suffix": b"Transfer-Encoding: chunkedx",
        "cut short": b"Transfer-Encoding: chunk",
        "quotes": b'Transfer-Encoding: "chunked"',
        "a parameter": b"Transfer-Encoding: chunked;q=1",
        "identity": b"Transfer-Encoding: identity",
        "unknown": b"Transfer-Encoding: cow",
        "nothing": b"Transfer-Encoding:",
        "chunked, identity": b"Transfer-Encoding: chunked, identity",
        "identity, chunked": b"Transfer-Encoding: identity, chunked",
        "chunked, chunked": b"Transfer-Encoding: chunked, chunked",
        "a comma before it": b"Transfer-Encoding: ,chunked",
        "a comma behind it": b"Transfer-Encoding: chunked,",
        "two lines": b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
        "two lines, chunked first": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
        "two lines, both chunked": b"Transfer-Encoding: chunked\r\nTransfer-encoding: chunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "folded in the middle": b"Transfer-Encoding: chun\r\n ked",
        "in a folded line": b"X: 1\r\n Transfer-Encoding: chunked",
        "in a line that a bare LF ends": b"X: 1\nTransfer-Encoding: chunked",
        "in a line that a bare CR ends": b"X: 1\rTransfer-Encoding: chunked",
        "a bare LF in its name": b"Transfer-Encoding\n: chunked",
        "an odd byte in its name": b"Transfer-Encoding\xff: chunked",
        "a byte order mark before its name": b"\xef\xbb\xbfTransfer-Encoding: chunked",
        "a Kelvin sign": "Transfer-Encoding: chun\u212aed".encode(),
    }.items()
}

UNKNOWN_CODINGS = {
    "gzip alone": post(b"Transfer-Encoding: gzip", body=SMUGGLED),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=END + SMUGGLED),
    "identity, chunked": post(b"Transfer-Encoding: identity, chunked", body=END + SMUGGLED),
    "chunked, gzip": post(b"Transfer-Encoding: chunked, gzip", body=END + SMUGGLED),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"5\r\n" + END + b"\r\n" + END + SMUGGLED),
    "chunked in HTTP/1.0": post(CHUNKED, version=b"HTTP/1.0", body=END + SMUGGLED),
    "chunked in HTTP/1.0, kept alive": post(CHUNKED, b"Connection: keep-alive", version=b"HTTP/1.0", body=END + SMUGGLED),
    "chunked in HTTP/1.0, with a length": post(CHUNKED, b"Content-Length: 5", version=b"HTTP/1.0", body=END + SMUGGLED),
}

CHUNKS = {
    name: chunks(body)
    for name, body in {
        "0x before the size": b"0x5\r\nhello\r\n" + END,
        "a plus": b"+5\r\nhello\r\n" + END,
        "a minus": b"-5\r\nhello\r\n" + END,
        "a blank before the size": b" 5\r\nhello\r\n" + END,
        "a blank behind the size": b"5 \r\nhello\r\n" + END,
        "a tab behind the size": b"5\t\r\nhello\r\n" + END,
        "an underscore": b"0_5\r\nhello\r\n" + END,
        "no digits": b"\r\nhello\r\n" + END,
        "not a digit": b"g\r\nhello\r\n" + END,
        "full-width digits": "\uff15\r\nhello\r\n".encode() + END,
        "2^64 + 5": b"10000000000000005\r\nhello\r\n" + END,
        "a NUL behind the size": b"5\0\r\nhello\r\n" + END,
        "a bare LF behind the size": b"5\nhello\r\n" + END,
        "a bare CR behind the size": b"5\rhello\r\n" + END,
        "a CR too many": b"5\r\r\nhello\r\n" + END,
        "an extension that a bare LF ends": b"5;a\nhello\r\n" + END,
        "an extension with a bare CR": b"5;a\rb\r\nhello\r\n" + END,
        "an extension with a NUL": b"5;a\0b\r\nhello\r\n" + END,
        # A reader that takes the LF for the end of the line finds `hello`, one that does not, a chunk of 0x30 bytes behind it.
        "a second size hidden in an extension": b"5;\nhello\r\n30\r\n\r\n" + END,
        "a quoted line end in an extension": b'5;a="\r\nhello\r\n' + END,
        "a chunk longer than its size": b"5\r\nhello!\r\n" + END,
        "no line end behind a chunk": b"5\r\nhello" + END,
        "a bare LF behind a chunk": b"5\r\nhello\n" + END,
        "a bare CR behind a chunk": b"5\r\nhello\r" + END,
        "two bytes behind a chunk": b"5\r\nhelloXX" + END,
        "a bare LF behind the last size": b"0\n\r\n",
        "bare LFs at the end": b"0\n\n",
        "a bare LF at the end": b"0\r\n\n",
        "a bare CR at the end": b"0\r\n\r",
        "a last size that is not zero": b"0x0\r\n\r\n",
        "a trailer without a colon": b"0\r\ntrailer\r\n\r\n",
        "a trailer with a blank before the colon": b"0\r\nX : 1\r\n\r\n",
        "a folded trailer": b"0\r\nX: 1\r\n 2\r\n\r\n",
        "a trailer that a bare LF ends": b"0\r\nX: 1\n\r\n",
        "a trailer with a length": b"0\r\nContent-Length: 43\r\n\r\n",
        "a trailer with a coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    }.items()
}

HEADS = {
    "bare LFs": b"GET /first HTTP/1.1\nHost: here\n\n" + SMUGGLED,
    "bare CRs": b"GET /first HTTP/1.1\rHost: here\r\r" + SMUGGLED,
    "an end of bare LFs": b"GET /first HTTP/1.1\r\nHost: here\n\n" + SMUGGLED,
    "an end of a bare LF": b"GET /first HTTP/1.1\r\nHost: here\r\n\n" + SMUGGLED,
    "a CR too many at the end": b"GET /first HTTP/1.1\r\nHost: here\r\n\r\r\n" + SMUGGLED,
    "a CR too many in a line": line(b"X: 1\r"),
    "a line without a colon": line(b"garbage"),
    "a line without a name": line(b": 1"),
    "a blank before the colon": line(b"X : 1"),
    "a blank in a name": line(b"X Y: 1"),
    "a NUL in a name": line(b"X\0: 1"),
    "a NUL in a value": line(b"X: a\0b"),
    "a bell in a value": line(b"X: a\x07b"),
    "a bare CR in a value": line(b"X: a\rb"),
    "a bare LF in a value": line(b"X: a\nb"),
    "brackets in a name": line(b"(X): 1"),
    "a byte above 127 in a name": line(b"X\xe9: 1"),
    "a DEL in a value": line(b"X: \x7f"),
    "a folded line": line(b"X: 1\r\n 2"),
    "a line folded with a tab": line(b"X: 1\r\n\t2"),
    "a folded first line": b"GET /first HTTP/1.1\r\n X: 1\r\nHost: here\r\n\r\n" + SMUGGLED,
    "no Host": b"GET /first HTTP/1.1\r\n\r\n" + SMUGGLED,
    "two Hosts": line(b"Host: there"),
    "two Hosts that are the same": line(b"host: here"),
    "a Host with a blank": b"GET /first HTTP/1.1\r\nHost: here there\r\n\r\n" + SMUGGLED,
    "a Host with a path": b"GET /first HTTP/1.1\r\nHost: here/there\r\n\r\n" + SMUGGLED,
    "a Host with a user": b"GET /first HTTP/1.1\r\nHost: there@here\r\n\r\n" + SMUGGLED,
    "a list of Hosts": b"GET /first HTTP/1.1\r\nHost: here, there\r\n\r\n" + SMUGGLED,
    "a Host folded": b"GET /first HTTP/1.1\r\nHost:\r\n here\r\n\r\n" + SMUGGLED,
}

STARTS = {
    name: start(raw)
    for name, raw in {
        "a blank in the target": b"GET /first /second HTTP/1.1",
        "a blank at the end": b"GET /first HTTP/1.1 ",
        "a blank at the beginning": b" GET /first HTTP/1.1",
        "tabs": b"GET\t/first\tHTTP/1.1",
        "a form feed": b"GET /first\x0c HTTP/1.1",
        "a NUL in the target": b"GET /first\0 HTTP/1.1",
        "a byte above 127 in the target": b"GET /first\xe9 HTTP/1.1",
        "a bare CR": b"GET /first\r HTTP/1.1",
        "a CR too many": b"GET /first HTTP/1.1\r",
        "a method in lower case": b"get /first HTTP/1.1",
        "a method that nobody knows": b"SMUGGLE /first HTTP/1.1",
        "brackets in the method": b"GET[] /first HTTP/1.1",
        "a target without a slash": b"GET first HTTP/1.1",
        "an asterisk without OPTIONS": b"GET * HTTP/1.1",
        "an authority without CONNECT": b"GET here:80 HTTP/1.1",
        "no target": b"GET HTTP/1.1",
        "HTTP/0.9 spelt out": b"GET /first HTTP/0.9",
        "HTTP/1.2": b"GET /first HTTP/1.2",
        "HTTP/2.0": b"GET /first HTTP/2.0",
        "HTTP/3.0": b"GET /first HTTP/3.0",
        "HTTP/1.10": b"GET /first HTTP/1.10",
        "HTTP/01.1": b"GET /first HTTP/01.1",
        "HTTP/1": b"GET /first HTTP/1",
        "http/1.1": b"GET /first http/1.1",
        "HTTP /1.1": b"GET /first HTTP /1.1",
        "HTTP/1.1 and more": b"GET /first HTTP/1.1x",
        "another protocol": b"GET /first ICE/1.0",
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "HTTP/0.9": b"GET /smuggled",
        "a TLS client": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        "a PROXY line": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /first HTTP/1.1",
    }.items()
} | {
    "HTTP/0.9 and no more": b"GET /smuggled\r\n\r\n",
    # A tunnel to whoever reads a 2xx answer, further requests to whoever does not.
    "CONNECT": b"CONNECT here:80 HTTP/1.1\r\nHost: here:80\r\n\r\n" + SMUGGLED,
    "CONNECT with a length": b"CONNECT here:80 HTTP/1.1\r\nHost: here:80\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED,
}

REFUSED = {
    f"{kind}: {name}": data
    for kind, table in {
        "length": LENGTHS,
        "coding": CODINGS,
        "framing": UNKNOWN_CODINGS,
        "chunk": CHUNKS,
        "head": HEADS,
        "start": STARTS,
    }.items()
    for name, data in table.items()
}
"""Must be refused: nothing of it reaches an actor, and the connection ends."""

BODY = SMUGGLED.decode()
FIRST = ("POST /first hello",)
OF_ITS_LENGTH = b"Content-Length: %d" % len(SMUGGLED)
IN_CHUNKS = b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + END
HELLO = b"5\r\nhello\r\n" + END

READ = {
    "blanks around a length": (post(b"Content-Length: \t5\t ", body=b"hello"), FIRST),
    "zeros before a length": (post(b"Content-Length: 0000000000000000000000005", body=b"hello"), FIRST),
    "a length in other letters": (post(b"cOnTeNt-LeNgTh:5", body=b"hello"), FIRST),
    "a coding in other letters": (post(b"tRaNsFeR-eNcOdInG:CHUNKED", body=HELLO), FIRST),
    "underscores": (post(b"Transfer_Encoding: chunked", b"Content_Length: 43", b"Content-Length: 5", body=b"hello"), FIRST),
    "codings elsewhere": (post(b"TE: chunked", b"Content-Encoding: chunked", b"Content-Length: 5", body=b"hello"), FIRST),
    "a length named as one of the connection": (post(b"Connection: content-length, host", b"Content-Length: 5", body=b"hello"), FIRST),
    "a coding named as one of the connection": (post(b"Connection: transfer-encoding", CHUNKED, body=HELLO), FIRST),
    "zeros before sizes": (post(CHUNKED, body=b"0" * 40 + b"5\r\nhello\r\n" + b"0" * 40 + b"\r\n\r\n"), FIRST),
    "extensions": (post(CHUNKED, body=b'5;a;b=c;d="e;\\"f"\r\nhello\r\n0;x\r\n\r\n'), FIRST),
    "a line end behind a body": (post(b"Content-Length: 5", body=b"hello\r\n"), FIRST),
    "empty lines before a request": (b"\r\n" + post(b"Content-Length: 5", body=b"hello"), FIRST),
    "a request as a body": (post(OF_ITS_LENGTH, body=SMUGGLED), (f"POST /first {BODY}",)),
    "a request as a chunk": (post(CHUNKED, body=IN_CHUNKS), (f"POST /first {BODY}",)),
    "a request as the body of a GET": (get(OF_ITS_LENGTH), (f"GET /first {BODY}",)),
    "a request as the body of an OPTIONS": (get(OF_ITS_LENGTH).replace(b"GET", b"OPTIONS", 1), (f"OPTIONS /first {BODY}",)),
    "a request as an awaited body": (post(b"Expect: 100-continue", OF_ITS_LENGTH, body=SMUGGLED), (f"POST /first {BODY}",)),
    "a request as an awaited chunk": (post(b"Expect: 100-continue", CHUNKED, body=IN_CHUNKS), (f"POST /first {BODY}",)),
    "a body awaited by HTTP/1.0": (post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", version=b"HTTP/1.0"), FIRST),
}
"""Unusual but not ambiguous: what has to reach the actor of it."""

PIPELINED = {
    "a GET": (get(), ("GET /first", "GET /smuggled")),
    "an empty body": (post(b"Content-Length: 0", body=SMUGGLED), ("POST /first", "GET /smuggled")),
    "a body": (post(b"Content-Length: 5", body=b"hello" + SMUGGLED), (*FIRST, "GET /smuggled")),
    "an awaited body": (post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello" + SMUGGLED), (*FIRST, "GET /smuggled")),
    "a body awaited where there is none": (get(b"Expect: 100-continue"), ("GET /first", "GET /smuggled")),
    "kept alive by HTTP/1.0": (
        post(b"Connection: keep-alive", b"Content-Length: 5", version=b"HTTP/1.0", body=b"hello" + SMUGGLED),
        (*FIRST, "GET /smuggled"),
    ),
}
"""A request that is really there behind the first, and what has to reach the actor."""

AT_MOST = {
    "behind Connection: close": (get(b"Connection: close"), ("GET /first",)),
    "behind Connection: close in a list": (get(b"Connection: x, Close"), ("GET /first",)),
    "behind HTTP/1.0": (get().replace(b"/1.1", b"/1.0", 1), ("GET /first",)),
    "behind a chunked body": (post(CHUNKED, body=HELLO + SMUGGLED), (*FIRST, "GET /smuggled")),
    "in a body of 2^64 - 1 bytes": (post(b"Content-Length: 18446744073709551615", body=SMUGGLED), ()),
    "in the body of a second": (get().replace(SMUGGLED, post(OF_ITS_LENGTH, body=SMUGGLED)), ("GET /first", f"POST /first {BODY}")),
    "blanks behind a coding": (post(b"Transfer-Encoding: chunked \t", body=HELLO + SMUGGLED), (*FIRST, "GET /smuggled")),
    "blanks in an extension": (post(CHUNKED, body=b"5 ; a = b\r\nhello\r\n" + END + SMUGGLED), (*FIRST, "GET /smuggled")),
    "a byte behind it": (post(b"Content-Length: 5", body=b"hello!" + SMUGGLED), FIRST),
    "RTSP": (b"DESCRIBE /first RTSP/1.0\r\nHost: here\r\n\r\n" + SMUGGLED, ("DESCRIBE /first",)),
    "ICE": (b"SOURCE /first ICE/1.0\r\nHost: here\r\n\r\n" + SMUGGLED, ("SOURCE /first",)),
    "two blanks in the request line": (b"GET  /first  HTTP/1.1\r\nHost: here\r\n\r\n" + SMUGGLED, ("GET /first", "GET /smuggled")),
}
"""What a strict reader sees of it; a server may see a beginning of that, and has to end the connection then."""

AWAITED = {
    "otherwise": post(b"Expect: 200-ok", OF_ITS_LENGTH, body=SMUGGLED),
    "in other words": post(b"Expect: y 100-continue", OF_ITS_LENGTH, body=SMUGGLED),
    "twice": post(b"Expect: 100-continue", b"Expect: 100-continue", OF_ITS_LENGTH, body=SMUGGLED),
    "in other letters": post(b"Expect: 100-CONTINUE", OF_ITS_LENGTH, body=SMUGGLED),
    "with a value": post(b"Expect: 100-continue=1", OF_ITS_LENGTH, body=SMUGGLED),
    "with nothing": post(b"Expect:", OF_ITS_LENGTH, body=SMUGGLED),
}
"""A body that a server may refuse to wait for."""

# A request with a body in which the smuggled one hides; the cut before it is where a reader that drops bytes goes astray.
SECOND = b"POST /second HTTP/1.1\r\nHost: here\r\n%b\r\n\r\n" % OF_ITS_LENGTH + SMUGGLED
SWITCH = b"Connection: Upgrade"
UPGRADES = {
    name: (get(*fields).replace(SMUGGLED, SECOND), ("GET /first", f"POST /second {BODY}"))
    for name, fields in {
        "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        "websocket": (SWITCH, b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        "websocket of a version that is not there": (SWITCH, b"Upgrade: websocket", b"Sec-WebSocket-Version: 777"),
        "websocket or h2c": (SWITCH, b"Upgrade: websocket, h2c"),
        "TLS": (SWITCH, b"Upgrade: TLS/1.0"),
        "a protocol that nobody knows": (SWITCH, b"Upgrade: cow"),
        "one that is not of the connection": (b"Upgrade: h2c",),
        "none, of the connection": (SWITCH,),
    }.items()
} | {
    "h2c, with a body": (post(SWITCH, b"Upgrade: h2c", b"Content-Length: 5", body=b"hello" + SECOND), (*FIRST, f"POST /second {BODY}")),
    "websocket, with a body": (
        post(SWITCH, b"Upgrade: websocket", b"Content-Length: 5", body=b"hello" + SECOND),
        (*FIRST, f"POST /second {BODY}"),
    ),
}
"""Asked to switch to another protocol, a server that does not goes on as if it had not been asked."""

TRAILERS = (
    "X-Trailer: 1",
    "Authorization: me",
    "Host: there",
    "Connection: close",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "X-Forwarded-For: 1.2.3.4",
)

EARLY = {
    "at once": (post(OF_ITS_LENGTH, body=SMUGGLED),),
    "later": (post(OF_ITS_LENGTH), SMUGGLED),
    "after half of it": (post(b"Content-Length: 200", body=b"hello"), SMUGGLED),
    "awaited": (post(OF_ITS_LENGTH, b"Expect: 100-continue"), SMUGGLED),
    "in a chunk": (post(CHUNKED, body=IN_CHUNKS),),
    "in a chunk, later": (post(CHUNKED, body=b"%x\r\n" % len(SMUGGLED)), SMUGGLED, b"\r\n" + END),
    "behind a bad chunk": (post(CHUNKED, body=b"5\r\nhello"), b"!\r\n" + END + SMUGGLED),
    "long": (post(b"Content-Length: %d" % (50_000 * len(SMUGGLED))), SMUGGLED * 50_000),
}
"""Bodies, in pieces, of a request that is answered before they are read."""
