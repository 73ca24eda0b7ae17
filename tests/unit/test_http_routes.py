"""Which of several links at one address a request belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import AlreadyExists
from providers.httpserver.request import bare_host
from providers.httpserver.routes import Routes


@dataclass(frozen=True, eq=False)
class Place:
    owner: str
    turn: str = ""


def table(*entries: tuple[str, list[str], str]) -> Routes[Place]:
    routes: Routes[Place] = Routes()
    for owner, hosts, prefix in entries:
        routes.add(hosts, prefix, Place(owner), "127.0.0.1:80")
    return routes


def found(routes: Routes[Place], host: str, path: str = "/") -> str:
    place = routes.find(host, path)
    return "nobody" if place is None else place.owner


def test_a_link_alone_that_names_no_host_and_no_path_answers_everything() -> None:
    routes = table(("all", [], "/"))
    assert [found(routes, host, path) for host, path in [("", "*"), ("a.example", "/x"), ("::1", "//")]] == ["all"] * 3


def test_the_exact_host_comes_before_the_wildcard_and_the_wildcard_before_any() -> None:
    routes = table(("any", [], "/"), ("below", ["*.example.com"], "/"), ("exact", ["www.example.com"], "/"))
    hosts = ["www.example.com", "api.example.com", "a.b.example.com", "example.com", "other.test", "notexample.com", ""]
    assert [found(routes, host) for host in hosts] == ["exact", "below", "below", "any", "any", "any", "any"]


def test_of_two_wildcards_the_longer_counts() -> None:
    routes = table(("wide", ["*.example.com"], "/"), ("narrow", ["*.eu.example.com"], "/"))
    assert [found(routes, host) for host in ["a.eu.example.com", "eu.example.com", "a.us.example.com"]] == ["narrow", "wide", "wide"]


def test_the_longest_path_prefix_counts_and_ends_where_a_segment_ends() -> None:
    routes = table(("root", [], "/"), ("shop", [], "/shop"), ("cart", [], "/shop/cart"))
    paths = ["/", "/shop", "/shop/", "/shop/x", "/shopping", "/shop/cart", "/shop/cart/1", "/shop/carts", "/SHOP", "/%73hop"]
    expected = ["root", "shop", "shop", "shop", "root", "cart", "cart", "shop", "root", "root"]
    assert [found(routes, "h", path) for path in paths] == expected


def test_a_slash_at_the_end_of_a_prefix_makes_no_difference() -> None:
    with_slash, without = table(("shop", [], "/shop/")), table(("shop", [], "/shop"))
    for path in ["/shop", "/shop/", "/shop/x", "/shopping", "/"]:
        assert found(with_slash, "h", path) == found(without, "h", path)


def test_a_host_without_the_path_leaves_the_request_to_the_less_precise_ones() -> None:
    routes = table(("any", [], "/"), ("wild", ["*.example.com"], "/b"), ("exact", ["www.example.com"], "/a"))
    assert [found(routes, "www.example.com", path) for path in ["/a", "/b", "/c"]] == ["exact", "wild", "any"]


def test_where_no_link_names_host_or_path_nobody_answers() -> None:
    routes = table(("one", ["a.example"], "/x"))
    assert [found(routes, *asked) for asked in [("a.example", "/"), ("b.example", "/x"), ("", "/x"), ("a.example", "*")]] == ["nobody"] * 4


def test_hosts_are_compared_whatever_their_case_final_dot_or_way_to_write_an_ipv6_address() -> None:
    routes = table(("one", ["WWW.Example.COM."], "/"), ("six", ["[2001:DB8:0::1]"], "/"), ("four", ["127.0.0.1"], "/"))
    asked = ["www.example.com", "WWW.example.com:8080", "www.example.com.:80", "[2001:db8::1]:80", "[2001:db8:0:0::1]", "127.0.0.1:80"]
    assert [found(routes, bare_host(host) or "") for host in asked] == ["one", "one", "one", "six", "six", "four"]


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "[::1", "::1", "a:b", "a:80:80", "[v1.x]", "a\x00", "caf\xe9"])
def test_what_cannot_be_a_host_is_none(host: str) -> None:
    assert bare_host(host) is None


def test_a_route_that_is_taken_is_refused_with_the_first_links_name_and_nothing_of_the_second_stays() -> None:
    routes = table(("first", ["a.example"], "/x/"))
    with pytest.raises(AlreadyExists, match=r"route a\.example/x of address 127\.0\.0\.1:80 is taken by the link first"):
        routes.add(["b.example", "A.example."], "/x", Place("second"), "127.0.0.1:80")
    assert (found(routes, "b.example", "/x"), found(routes, "a.example", "/x")) == ("nobody", "first")


def test_the_same_host_with_another_path_or_the_same_path_with_another_host_is_no_conflict() -> None:
    routes = table(("one", ["a.example"], "/x"), ("two", ["a.example"], "/"), ("three", ["*.a.example"], "/x"), ("four", [], "/x"))
    assert {place.owner for place in routes} == {"one", "two", "three", "four"}


def test_the_newest_site_of_a_link_answers_and_the_older_one_may_go_in_any_order() -> None:
    routes: Routes[Place] = Routes()
    old, new = Place("link"), Place("link")
    routes.add(["a.example"], "/", old, "")
    routes.add(["a.example", "b.example"], "/", new, "")
    assert routes.find("a.example", "/") is new
    routes.remove(old)
    assert (routes.find("a.example", "/"), routes.find("b.example", "/")) == (new, new)
    routes.remove(new)
    assert (routes.find("a.example", "/"), list(routes)) == (None, [])


def test_a_host_that_is_named_twice_leaves_no_route_behind() -> None:
    routes: Routes[Place] = Routes()
    place = Place("link")
    routes.add(["a.example", "A.example", "a.example."], "/", place, "")
    routes.remove(place)
    assert (found(routes, "a.example"), list(routes)) == ("nobody", [])


LABELS = st.sampled_from(["a", "b", "c"])
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
PATTERNS = st.one_of(HOSTS, HOSTS.map("*.{}".format))
PATHS = st.lists(LABELS, max_size=3).map(lambda parts: "/" + "/".join(parts))


def _matches(pattern: str, host: str) -> bool:
    return not pattern or host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


@given(st.dictionaries(st.tuples(st.one_of(st.just(""), PATTERNS), PATHS), st.uuids().map(str), max_size=8), HOSTS, PATHS)
def test_find_agrees_with_looking_at_every_route(given: dict[tuple[str, str], str], host: str, path: str) -> None:
    routes = table(*((owner, [pattern] if pattern else [], prefix) for (pattern, prefix), owner in given.items()))

    def rank(entry: tuple[tuple[str, str], str]) -> tuple[bool, int, int]:
        (pattern, prefix), _ = entry
        return pattern == host, len(pattern), len(prefix)

    fitting = [entry for entry in given.items() if _matches(entry[0][0], host) and f"{path}/".startswith(entry[0][1].rstrip("/") + "/")]
    assert found(routes, host, path) == (max(fitting, key=rank)[1] if fitting else "nobody")


# Turns (wrpc-1x.md §5.2)


def test_of_links_that_wait_their_turn_the_first_answers_and_the_next_takes_over() -> None:
    routes: Routes[Place] = Routes()
    first, second, third = (Place(name, turn) for name, turn in (("one", "a"), ("two", "b"), ("three", "c")))
    for place in (first, second, third):
        routes.add([], "/", place, "127.0.0.1:80")
    assert found(routes, "x") == "one"
    changed = Place("one", "a")
    routes.add([], "/", changed, "127.0.0.1:80")
    routes.remove(first)
    assert (routes.find("x", "/"), set(routes)) == (changed, {changed, second, third})
    routes.remove(changed)
    assert found(routes, "x") == "two"
    routes.remove(second)
    assert found(routes, "x") == "three"


def test_a_second_link_of_the_same_name_does_not_wait() -> None:
    routes: Routes[Place] = Routes()
    for place in (Place("one", "a"), Place("two", "b")):
        routes.add([], "/", place, "127.0.0.1:80")
    with pytest.raises(AlreadyExists, match="is taken by the link one"):
        routes.add([], "/", Place("three", "b"), "127.0.0.1:80")
