"""Routing modes path and host: one path, or one value of a header, a link."""

from __future__ import annotations

import pytest

from provider_sdk import AlreadyExists
from providers.httpserver.exact import ExactRoutes
from tests.unit.test_http_routes import Place


def test_a_path_is_compared_as_it_was_sent_and_no_other_belongs_to_it() -> None:
    routes: ExactRoutes[Place] = ExactRoutes()
    shop = Place("shop")
    routes.add_path("/shop", shop)
    assert routes.find("/shop", {}) is shop
    assert [routes.find(path, {}) for path in ("/Shop", "/shop/", "/shop/x", "/%73hop", "/")] == [None] * 5


def test_a_header_is_compared_as_it_was_sent_with_its_port() -> None:
    routes: ExactRoutes[Place] = ExactRoutes()
    here, there = Place("here"), Place("there")
    routes.add_value("host", "here:80", here)
    routes.add_value("host", "there", there)
    assert [routes.find("/", {"host": value}) for value in ("here:80", "there", "here", "Here:80")] == [here, there, None, None]


def test_the_refusals_are_the_official_ones() -> None:
    by_path: ExactRoutes[Place] = ExactRoutes()
    by_path.add_path("/shop", Place("shop"))
    assert by_path.refusal({}) == (404, "path not found")
    by_host: ExactRoutes[Place] = ExactRoutes()
    by_host.add_value("host", "here", Place("here"))
    assert by_host.refusal({}) == (400, "missing host header")
    assert by_host.refusal({"host": "caf\udce9"}) == (400, "invalid host header")
    assert by_host.refusal({"host": "there"}) == (404, "host not found")


def test_a_route_of_another_link_is_refused_and_of_the_same_link_the_newest_answers() -> None:
    routes: ExactRoutes[Place] = ExactRoutes()
    old, new = Place("one"), Place("one")
    routes.add_path("/a", old)
    with pytest.raises(AlreadyExists, match="path /a is taken by the link one"):
        routes.add_path("/a", Place("two"))
    routes.add_path("/a", new)
    assert routes.find("/a", {}) is new
    routes.remove(new)
    assert (routes.find("/a", {}), bool(routes)) == (old, True)
    routes.remove(old)
    assert not routes
