"""Tokens and the eleven checks of wasmbus-0x.md §4.5: each with its text, and in their order; keys; the claims inside an actor's module."""

from __future__ import annotations

import asyncio
import base64
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from provider_sdk import Config, Interface, Link, NotFound, PermissionDenied, Provider, ProviderError
from provider_sdk.config import Layer
from provider_sdk.errors import InvalidArgument, Unauthenticated
from provider_sdk.hosts.base import Call
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed, module_hash, verify_actor
from provider_sdk.hosts.wasmbus.claims import (
    LONGEST_JWT,
    entity_url,
    sign_invocation_claims,
    sign_token,
    split_token,
    verify,
)
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation, decode_invocation, decode_response, encode_invocation
from provider_sdk.hosts.wasmbus.server import Server, served
from provider_sdk.nkeys import KeyPair, Prefix, decode_public, decode_seed
from provider_sdk.runtime.links import LinkTable
from provider_sdk.runtime.settings import RuntimeSettings
from provider_sdk.transport.base import Message, Transport
from tests.unit import golden
from tests.unit.golden import ACCOUNT, ACTOR, CLUSTER, HOST, PROVIDER

CLUSTER_KEY = KeyPair.from_seed(CLUSTER.seed)
ACCOUNT_KEY = KeyPair.from_seed(ACCOUNT.seed)
GET = decode_invocation(golden.GET_INVOCATION)
CLAIMS: dict[str, Any] = json.loads(golden.GET_CLAIMS)
WASCAP: dict[str, str] = CLAIMS["wascap"]
NOW = 1_700_000_000.0
HEADER = golden.GET_TOKEN.partition(".")[0]


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: str, claims: bytes, key: KeyPair = CLUSTER_KEY) -> str:
    """A token over any header and any claims."""
    content = f"{header}.{segment(claims)}"
    return f"{content}.{segment(key.sign(content.encode()))}"


def check(invocation: Invocation, payload: bytes | None = None, **different: Any) -> None:
    facts: dict[str, Any] = {"own_key": PROVIDER.public, "issuers": {CLUSTER.public}, "now": NOW} | different
    verify(invocation, invocation.msg if payload is None else payload, **facts)


def refusal(invocation: Invocation, **different: Any) -> ProviderError:
    with pytest.raises(ProviderError) as refused:
        check(invocation, **different)
    return refused.value


def with_claims(**different: Any) -> Invocation:
    return replace(GET, encoded_claims=sign_token(CLUSTER_KEY, CLAIMS | different))


@pytest.mark.parametrize(
    ("entity", "url"),
    [
        (Entity("MABC", "", ""), "wasmbus://MABC"),
        (Entity("mabc", "default", "wasmcloud:x"), "wasmbus://mabc"),
        (Entity("VABC", "default", "wasmcloud:messaging"), "wasmbus://wasmcloud/messaging/default/VABC"),
        (Entity("VABC", "My Link", "Acme:Big Thing:V2"), "wasmbus://acme/big_thing/v2/my_link/VABC"),
        (Entity("VABC", "default", ""), "wasmbus:///default/VABC"),
    ],
)
def test_an_entity_has_this_url(entity: Entity, url: str) -> None:
    assert entity_url(entity) == url


def test_what_is_signed_here_is_accepted() -> None:
    token = sign_invocation_claims(CLUSTER_KEY, GET.id, GET.origin, GET.target, GET.operation, GET.msg)
    check(replace(GET, encoded_claims=token))
    claims = json.loads(split_token(token)[0])
    assert (claims["iss"], claims["sub"], claims["wascap"], claims["wascap_revision"]) == (CLUSTER.public, GET.id, WASCAP, 3)


@pytest.mark.parametrize(
    "invocation",
    [
        pytest.param(with_claims(sub="another id"), id="sub is not compared with the id"),
        pytest.param(with_claims(iat=0), id="iat may be old"),
        pytest.param(with_claims(iat=1 << 40), id="iat may be to come"),
        pytest.param(with_claims(exp=NOW), id="exp is this second"),
        pytest.param(with_claims(nbf=NOW), id="nbf is this second"),
        pytest.param(with_claims(exp=None, nbf=None), id="exp and nbf null"),
        pytest.param(with_claims(tomorrow=[{}]), id="unknown claim"),
        pytest.param(with_claims(wascap=WASCAP | {"tomorrow": 1}), id="unknown wascap claim"),
        pytest.param(replace(GET, host_id=HOST.public), id="the host's id"),
        pytest.param(replace(GET, host_id="N"), id="anything that begins with N"),
        pytest.param(
            replace(GET, encoded_claims=signed(segment(b'{"alg":"Ed25519","typ":"jwt"}'), golden.GET_CLAIMS.encode())), id="header turned"
        ),
    ],
)
def test_what_no_sender_is_held_to_is_not_checked(invocation: Invocation) -> None:
    check(invocation)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b", id="two segments"),
        pytest.param(f"{golden.GET_TOKEN}.", id="four segments"),
        pytest.param(f"{HEADER}=.{golden.GET_TOKEN.partition('.')[2]}", id="padding in the header"),
        pytest.param(f"{golden.GET_TOKEN}==", id="padding in the signature"),
        pytest.param(golden.GET_TOKEN.replace("_", "/"), id="the standard alphabet"),
        pytest.param(golden.GET_TOKEN[:-2], id="signature of 63 bytes"),
        pytest.param(golden.GET_TOKEN + "AA", id="signature of more than 64 bytes"),
        pytest.param(f"{HEADER}..{segment(bytes(64))}", id="no claims"),
        pytest.param(golden.GET_TOKEN[:100] + "é" + golden.GET_TOKEN[101:], id="not ASCII"),
        pytest.param("a" * LONGEST_JWT + ".b.c", id="too long"),
        pytest.param(signed(segment(b'{"typ":"JWT","alg":"Ed25519"}'), golden.GET_CLAIMS.encode()), id="another typ"),
        pytest.param(signed(segment(b'{"typ":"jwt","alg":"none"}'), golden.GET_CLAIMS.encode()), id="alg none"),
        pytest.param(signed(segment(b'{"typ":"jwt"}'), golden.GET_CLAIMS.encode()), id="no alg"),
        pytest.param(signed(segment(b"[]"), golden.GET_CLAIMS.encode()), id="header is a list"),
        pytest.param(signed(segment(b"7"), golden.GET_CLAIMS.encode()), id="header is a number"),
        pytest.param(signed(segment(b"[" * 9000), golden.GET_CLAIMS.encode()), id="header nested deep"),
        pytest.param(signed(HEADER, b"{"), id="claims are not JSON"),
        pytest.param(signed(HEADER, b"[]"), id="claims are a list"),
        pytest.param(signed(HEADER, b"\xff"), id="claims are not UTF-8"),
        pytest.param(signed(HEADER, b'{"a":' * 9000), id="claims nested deep"),
        *(
            pytest.param(sign_token(CLUSTER_KEY, {name: value for name, value in CLAIMS.items() if name != missing}), id=f"no {missing}")
            for missing in ("iss", "sub", "wascap")
        ),
        *(
            pytest.param(
                sign_token(CLUSTER_KEY, CLAIMS | {"wascap": {name: value for name, value in WASCAP.items() if name != missing}}),
                id=f"no {missing}",
            )
            for missing in WASCAP
        ),
        *(
            pytest.param(sign_token(CLUSTER_KEY, CLAIMS | {name: value}), id=f"{name} is {value!r}")
            for name, value in (("iss", ""), ("iss", 7), ("sub", ""), ("sub", None), ("exp", "soon"), ("nbf", []), ("wascap", "x"))
        ),
    ],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    error = refusal(replace(GET, encoded_claims=token))
    assert isinstance(error, Unauthenticated)
    assert str(error).startswith("Invocation claims")


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_has_64_bytes(length: int) -> None:
    token = f"{golden.GET_TOKEN.rpartition('.')[0]}.{segment(bytes(length))}"
    with pytest.raises(Unauthenticated, match=r"^Invocation claims are not a token: the signature has not 64 bytes$"):
        split_token(token)


@pytest.mark.parametrize("part", range(3), ids=["header", "claims", "signature"])
def test_every_character_of_a_token_is_under_the_signature(part: int) -> None:
    pieces = golden.GET_TOKEN.split(".")
    for index, old in enumerate(pieces[part]):
        changed = pieces[part][:index] + ("B" if old == "A" else "A") + pieces[part][index + 1 :]
        token = ".".join([*pieces[:part], changed, *pieces[part + 1 :]])
        assert isinstance(refusal(replace(GET, encoded_claims=token)), Unauthenticated), index


@pytest.mark.parametrize(
    "issuer",
    [HOST.public, ACCOUNT.public, "C", "", CLUSTER.public.lower(), CLUSTER.public[:-1] + "J", "é" * 56],
    ids=repr,
)
def test_a_signature_of_another_than_the_issuer_is_refused(issuer: str) -> None:
    error = refusal(with_claims(iss=issuer), issuers={CLUSTER.public, issuer})
    assert str(error) in ("Invocation claims signature invalid", "Invocation claims: iss or sub is empty")


@dataclass
class Flaw:
    """What makes an invocation fail one check of §4.5, on top of the flaws of later checks."""

    number: int
    text: str
    claims: dict[str, Any] = field(default_factory=dict)
    wascap: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)
    broken_signature: bool = False


OTHER_TARGET = Entity(HOST.public, "default", "wasmcloud:keyvalue")
OTHER_CLUSTER = KeyPair(Prefix.CLUSTER, bytes([9]) * 32)
FLAWS = [
    Flaw(2, "Invocation claims token expired", claims={"exp": NOW - 1}),
    Flaw(3, "Invocation claims signature invalid", broken_signature=True),
    Flaw(4, "Attempt to use invocation before claims token allows", claims={"nbf": NOW + 1}),
    Flaw(5, "Invocation hash does not match signed claims hash (0 / ", wascap={"hash": "0"}),
    Flaw(6, "Invalid host ID on invocation: 'X'", members={"host_id": "X"}),
    Flaw(7, "Invocation claims and invocation target URL do not match: wasmbus://t != wasmbus://", wascap={"target_url": "wasmbus://t"}),
    Flaw(8, "Invocation claims and invocation origin URL do not match: wasmbus://o != wasmbus://", wascap={"origin_url": "wasmbus://o"}),
    Flaw(9, "Issuer of this invocation is not in list of cluster issuers", claims={"iss": OTHER_CLUSTER.public}),
    Flaw(10, f"target key mismatch: {HOST.public} != {PROVIDER.public}", members={"target": OTHER_TARGET}),
]


def flawed(flaws: list[Flaw], **members: Any) -> Invocation:
    """An invocation with just these flaws: whatever is not wrong on purpose is right."""
    issuer = CLUSTER_KEY
    for flaw in flaws:
        members = members | flaw.members
        issuer = OTHER_CLUSTER if "iss" in flaw.claims else issuer
    invocation = replace(GET, **members)
    token = sign_invocation_claims(issuer, invocation.id, invocation.origin, invocation.target, invocation.operation, invocation.msg)
    claims = json.loads(split_token(token)[0])
    for flaw in flaws:
        claims |= flaw.claims
        claims["wascap"] |= flaw.wascap
    token = sign_token(issuer, claims)
    if any(flaw.broken_signature for flaw in flaws):
        token = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    return replace(invocation, encoded_claims=token)


def test_an_invocation_without_flaws_passes() -> None:
    check(flawed([]))


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: f"check {flaw.number}")
def test_each_check_refuses_by_itself(flaw: Flaw) -> None:
    error = refusal(flawed([flaw]))
    assert str(error).startswith(flaw.text)
    assert isinstance(error, PermissionDenied if flaw.number in (9, 10) else Unauthenticated)


@pytest.mark.parametrize("first", range(len(FLAWS) - 1), ids=lambda index: f"checks {index + 2} and {index + 3}")
def test_of_two_checks_in_a_row_the_first_answers(first: int) -> None:
    assert str(refusal(flawed(FLAWS[first : first + 2]))).startswith(FLAWS[first].text)


@pytest.mark.parametrize("first", range(len(FLAWS)), ids=lambda index: f"checks {index + 2} to 10")
def test_of_all_checks_that_fail_the_first_answers(first: int) -> None:
    assert str(refusal(flawed(FLAWS[first:]))).startswith(FLAWS[first].text)


def test_a_malformed_token_answers_before_everything_else() -> None:
    assert str(refusal(replace(flawed(FLAWS), encoded_claims="x"))).startswith("Invocation claims are not a token")


def test_the_hash_is_over_the_whole_argument() -> None:
    check(flawed([], msg=b"whole"), b"whole")
    assert str(refusal(flawed([], msg=b"whole"), payload=b"other")).startswith("Invocation hash does not match")


class Words(Interface, contract="acme:words"):
    @abstractmethod
    async def word(self) -> str: ...


class Saying(Words):
    async def word(self) -> str:
        return "hello"


class Speaker(Provider[Config], serves=(Words,)):
    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Words]:
        yield Saying()


@dataclass
class Bus:
    """The end of a transport that a server sees: no object is in its store, and answers are kept."""

    answers: list[bytes] = field(default_factory=list)

    def objects(self, bucket: str) -> Bus:
        return self

    async def take(self, name: str, limit: int) -> bytes:
        raise NotFound(f"no object {name}")

    async def publish(self, subject: str, data: bytes, *, within: float) -> None:
        self.answers.append(data)


@dataclass
class Runtime:
    """Calls on the links of a real table, in the task that started them."""

    table: LinkTable
    serving: list[Coroutine[Any, Any, None]] = field(default_factory=list)
    full: bool = False

    def start_call(self, serve: Coroutine[Any, Any, None]) -> None:
        self.serving.append(serve)

    def end_call(self) -> None: ...

    async def run_call(self, call: Call) -> Any:
        serving = await self.table.find(call.caller, call.contract, 0.0)
        return await serving.method(call.operation)(*call.arguments)


async def answer(data: bytes) -> str:
    """What a provider without links answers to `data`."""
    faults: list[asyncio.Task[None]] = []
    settings = RuntimeSettings.load(Layer("test", {})).config
    table = LinkTable(Speaker(), settings, lambda key: cast(Any, None), faults.append)
    bus, runtime = Bus(), Runtime(table)
    server = Server(
        cast(Transport, bus), runtime, served((Words,)), lattice="default", key=PROVIDER.public, issuers=frozenset({CLUSTER.public})
    )
    server.receive(cast(Message, SimpleNamespace(subject="s", reply="r", data=data, headers=None)))
    await runtime.serving.pop()
    await table.close(1.0)
    assert not faults
    error = decode_response(bus.answers.pop()).error
    assert error is not None
    return error


CHUNKED = {"content_length": 1 << 20}
WORD = {"operation": "Words.Word", "msg": b"", "content_length": 0}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(encode_invocation(flawed(FLAWS, **CHUNKED))[:-1], "deser error: ", id="checks 0 to 11"),
        pytest.param(encode_invocation(flawed(FLAWS, **CHUNKED)), f"no object {GET.id}", id="checks 1 to 11"),
        pytest.param(encode_invocation(flawed(FLAWS, **WORD)), "Invocation claims token expired", id="checks 2 to 11"),
        pytest.param(encode_invocation(flawed(FLAWS[-1:], **WORD)), "target key mismatch: ", id="checks 10 and 11"),
        pytest.param(encode_invocation(flawed([], **WORD)), f"unlinked actor: '{ACTOR.public}'", id="check 11"),
    ],
)
async def test_a_server_decodes_fetches_verifies_and_then_asks_for_the_link(data: bytes, text: str) -> None:
    assert (await answer(data)).startswith(text)


@pytest.mark.parametrize("prefix", list(Prefix))
def test_a_key_of_each_kind_is_read_back(prefix: Prefix) -> None:
    pair = KeyPair.generate(prefix)
    assert decode_seed(pair.seed)[0] == decode_public(pair.public)[0] == prefix
    assert (len(pair.public), len(pair.seed)) == (56, 58)
    assert pair.seed not in repr(pair)


@pytest.mark.parametrize("text", ["", "C", CLUSTER.public.lower(), CLUSTER.public[:-1], CLUSTER.public + "A", CLUSTER.seed, "\u212a" * 56])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"is not a public key"):
        decode_public(text)


@pytest.mark.parametrize("text", ["", "S", CLUSTER.seed.lower(), CLUSTER.seed[:-1], CLUSTER.seed + "A", CLUSTER.public, "SÄ" * 29])
def test_what_is_no_seed_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a seed") as refused:
        decode_seed(text)
    assert len(text) < 2 or text not in str(refused.value)


@pytest.mark.parametrize("index", range(56))
def test_each_character_of_a_public_key_is_under_its_checksum(index: int) -> None:
    changed = CLUSTER.public[:index] + ("A" if CLUSTER.public[index] != "A" else "B") + CLUSTER.public[index + 1 :]
    with pytest.raises(InvalidArgument):
        decode_public(changed)


def actor_module(**different: Any) -> bytes:
    """The empty module with the claims of A.9, some of them different, signed by the account."""
    claims = json.loads(golden.ACTOR_CLAIMS)
    wascap = claims["wascap"] | different.pop("wascap", {})
    token = sign_token(ACCOUNT_KEY, claims | {"wascap": wascap} | different).encode()
    name = b"jwt"
    body = bytes([len(name)]) + name + token
    return golden.EMPTY_MODULE + b"\0" + bytes([len(body) & 127 | 128, len(body) >> 7]) + body


def test_an_actor_signed_here_is_accepted_and_signed_again_is_the_same() -> None:
    claims = ActorClaims(ACTOR.public, ACCOUNT.public, "a", ("wasmcloud:keyvalue",), "acme/a", "1.2", 3, ("t",), "j", 5)
    module = embed(golden.EMPTY_MODULE, claims, ACCOUNT_KEY)
    assert verify_actor(module) == claims
    assert embed(module, claims, ACCOUNT_KEY) == module
    assert module_hash(module) == golden.EMPTY_MODULE_HASH


@pytest.mark.parametrize(
    ("module", "text"),
    [
        pytest.param(golden.EMPTY_MODULE, "the module carries no claims", id="unsigned"),
        pytest.param(actor_module()[:-4] + b"AAAA", "the module's claims are not signed by their issuer", id="another signature"),
        pytest.param(actor_module(iss=CLUSTER.public), "the module's claims are not signed by their issuer", id="another issuer"),
        pytest.param(actor_module(exp=NOW - 1), "the module's claims have expired", id="expired"),
        pytest.param(actor_module(nbf=NOW + 1), "the module's claims are not yet in force", id="not yet"),
        pytest.param(actor_module() + b"\1\1\0", "the module is not the one that was signed", id="a section more"),
        pytest.param(actor_module(wascap={"hash": "0"}), "the module is not the one that was signed", id="another hash"),
        pytest.param(actor_module(wascap={"prov": True}), "the module's claims cannot be read: they are not an actor's", id="a provider's"),
        pytest.param(actor_module(sub=PROVIDER.public), "the module's claims cannot be read: sub is no module key", id="subject is none"),
        pytest.param(actor_module(iss=None), "the module's claims cannot be read: sub is no module key, or iss is missing", id="no issuer"),
        pytest.param(actor_module(exp="soon"), "the module's claims cannot be read: exp is no number of seconds", id="exp is a text"),
        pytest.param(actor_module(nbf=[]), "the module's claims cannot be read: nbf is no number of seconds", id="nbf is a list"),
        pytest.param(actor_module(iat=float("inf")), "the module's claims cannot be read: ", id="iat is infinite"),
        pytest.param(actor_module(wascap={"caps": 7}), "the module's claims cannot be read: ", id="caps are a number"),
        pytest.param(actor_module(wascap={"rev": "x"}), "the module's claims cannot be read: ", id="rev is a text"),
    ],
)
def test_claims_of_a_module_that_a_host_would_refuse_are_refused(module: bytes, text: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verify_actor(module, now=NOW)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0asm\x0d\0\1\0", id="a component"),
        pytest.param(golden.EMPTY_MODULE + b"\0", id="a section without a length"),
        pytest.param(golden.EMPTY_MODULE + b"\0\x05abc", id="cut off inside a section"),
        pytest.param(golden.EMPTY_MODULE + b"\0\xff\xff\xff\xff\xff\xff\1", id="a length of more than 32 bits"),
        pytest.param(golden.EMPTY_MODULE + b"\0\1\x05", id="a custom section without a name"),
    ],
)
def test_what_is_no_module_is_refused(module: bytes) -> None:
    with pytest.raises(InvalidArgument, match="WebAssembly module"):
        verify_actor(module)
