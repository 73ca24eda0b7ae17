"""Configuration classes as their author meets them: declarations, instances, schema, description, typing."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from provider_sdk.config import Config, Layer, Secret, setting
from provider_sdk.errors import InvalidArgument
from tests.unit.config_examples import Everything, Sink, Tls, fault, read

# instances


def test_a_config_without_settings_loads_from_nothing() -> None:
    assert Config.load().config == Config()
    assert Config.load(Layer("link values", {})).warnings == []


def test_defaults_apply_where_nothing_is_given() -> None:
    assert Everything.load().config == Everything()
    assert read().tags == ["x"]


def test_an_instance_is_frozen_and_comparable() -> None:
    assert Sink(url="a") == Sink(url="a") != Sink(url="b")
    assert len({Sink(url="a"), Sink(url="a")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sink().url = "b"  # type: ignore[misc]  # refused by the type checker as well


def test_instances_do_not_share_their_lists() -> None:
    Everything().tags.append("y")
    assert Everything().tags == ["x"]


def test_a_repr_names_every_setting_and_hides_secrets() -> None:
    assert repr(Tls(cert_file=Path("c"), passphrase=Secret("hunter2"))) == (
        f"Tls(cert_file={Path('c')!r}, key_file=None, passphrase=<secret>)"
    )


def test_a_repr_hides_whatever_came_from_a_secret_layer() -> None:
    config = Sink.load(Layer("link secrets", {"url": "redis://:hunter2@db"}, secret=True)).config
    assert config.url == "redis://:hunter2@db"
    assert repr(config) == "Sink(url=<secret>, depth=3)"


def test_settings_are_inherited_in_order_and_can_be_declared_anew() -> None:
    class Child(Sink):
        extra: bool = setting(False, doc="More.")
        url: str = setting("child", doc="Declared anew.")

    assert [member.name for member in dataclasses.fields(Child)] == ["url", "depth", "extra"]
    assert Child.load(Layer("l", {"DEPTH": 4})).config == Child(url="child", depth=4, extra=False)


@pytest.mark.parametrize("kind", [InvalidArgument, ValueError])
def test_what_spans_settings_is_checked_in_post_init(kind: type[Exception]) -> None:
    class Range(Config):
        low: int = setting(0, doc="Least.")
        high: int = setting(9, doc="Most.")

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise kind(f"low {self.low} is above high {self.high}")

    assert fault(Range, Layer("link values", {"low": 10})) == "low 10 is above high 9"


# declarations


def declared(annotation: str, **options: Any) -> type[Config]:
    names = {"__annotations__": {"word": annotation}, "word": setting(doc="d", **options), "__module__": __name__}
    return cast(type[Config], type("Bad", (Config,), names))


def test_a_setting_without_annotation_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: a setting needs a type annotation$"):
        type("Bad", (Config,), {"word": setting("x", doc="d")})


def test_an_inherited_setting_cannot_be_replaced_by_a_plain_value() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.url: a setting needs a type annotation$"):
        type("Bad", (Sink,), {"url": "x"})


def test_an_annotation_without_setting_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: declare it with setting"):
        type("Bad", (Config,), {"__annotations__": {"word": "str"}, "word": "x"})


def test_a_setting_cannot_take_the_name_of_a_method() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.load: the name belongs to Config itself$"):
        type("Bad", (Config,), {"__annotations__": {"load": "str"}, "load": setting("x", doc="d")})


def test_names_given_as_one_text_are_refused() -> None:
    with pytest.raises(TypeError, match=r"\('url',\)"):
        setting("x", doc="d", aliases="url")  # type: ignore[call-overload]  # the mistake under test


@pytest.mark.parametrize("annotation", ["bytes", "list", "list[list[str]]", "dict[int, str]", "str | int", "tuple[str, str]", "object"])
def test_an_unsupported_annotation_is_refused_at_first_use(annotation: str) -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: .* is not a type that a setting can have$"):
        declared(annotation).load()


@pytest.mark.parametrize(
    ("annotation", "options"),
    [("str", {"unit": "seconds"}), ("bool", {"minimum": 1}), ("int", {"unit": "parsecs"}), ("Tls", {"choices": (1,)})],
)
def test_limits_that_do_not_fit_the_type_are_refused(annotation: str, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: "):
        declared(annotation, **options).load()


def test_an_unknown_annotation_is_refused_naming_the_class() -> None:
    with pytest.raises(TypeError, match=r"^Bad: name 'Nowhere' is not defined"):
        declared("Nowhere").load()


def test_two_settings_cannot_share_a_name() -> None:
    class Bad(Config):
        max_size: int = setting(1, doc="d")
        other: int = setting(1, doc="d", aliases=("maxSize",))

    with pytest.raises(TypeError, match=r"^Bad\.other: shares the name 'maxsize' with max_size$"):
        Bad.load()


# schema and description


def test_the_schema_describes_every_setting() -> None:
    schema = json.loads(json.dumps(Everything.json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], schema["type"]) == ("Everything", "object")
    assert "required" not in schema
    properties = schema["properties"]
    assert list(properties) == [member.name for member in dataclasses.fields(Everything)]
    assert properties["name"] == {"type": "string", "description": "A name.", "default": "Hello", "x-aliases": ["title", "label"]}
    assert properties["port"] == {"type": "integer", "minimum": 1, "maximum": 65535, "description": "A port.", "default": 8000}
    assert properties["size"]["type"] == ["integer", "string"]
    assert properties["size"]["x-official"] == ["max_content_len"]
    assert properties["size"]["description"].startswith("A size. In bytes;")
    assert properties["password"] == {"type": "string", "writeOnly": True, "description": "A secret."}
    assert properties["folder"]["default"] == "/data"
    assert properties["mode"] == {"type": "string", "enum": ["fs", "S3"], "description": "A mode | or two.", "default": "fs"}
    assert properties["color"]["enum"] == ["red", "dark-blue"]
    assert properties["maybe"] == {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Perhaps a number.", "default": None}
    assert properties["tags"]["items"] == {"type": "string"}
    assert properties["buckets"]["additionalProperties"] == {"type": "string"}
    assert properties["tls"]["anyOf"][0]["required"] == ["cert_file"]


def test_the_description_is_a_table_with_a_row_for_each_setting() -> None:
    lines = Everything.describe().splitlines()
    assert lines[0] == "| Setting | Value | Default | Meaning | Other names |"
    assert "| `port` | a whole number from 1 to 65535 | `8000` | A port. |  |" in lines
    assert '| `name` | text | `"Hello"` | A name. | `title`, `label` |' in lines
    assert "| `tls.cert_file` | a path | required | Certificate chain, PEM. |  |" in lines
    assert any("A mode \\| or two." in line for line in lines)
    assert len(lines) == 2 + len(dataclasses.fields(Everything)) + len(dataclasses.fields(Tls))


def test_neither_schema_nor_description_shows_a_secret_default() -> None:
    class Holder(Config):
        inner: Tls = setting(Tls(cert_file=Path("c"), passphrase=Secret("hunter2")), doc="Inner.")
        more: list[Secret] = setting([Secret("hunter2")], doc="More.")

    for text in (json.dumps(Everything.json_schema()), Everything.describe()):
        assert "default-secret" not in text
    assert "hunter2" not in repr(Holder())
    for text in (json.dumps(Holder.json_schema()), Holder.describe()):
        assert "hunter2" not in text


# typing and start-up


AUTHOR = """
from provider_sdk.config import Config, Secret, setting

class GreeterConfig(Config):
    greeting: str = setting("Hello", doc="Word placed before the name.")
    retries: int | None = setting(None, doc="How often.")
    token: Secret = setting(doc="Required.")

config = GreeterConfig.load().config
reveal_type(config)
reveal_type(GreeterConfig(greeting="x").greeting)
config.greeting = "y"
GreeterConfig(greeting=5)
wrong: int = setting("x", doc="d")
"""


def test_a_type_checker_understands_a_config(tmp_path: Path) -> None:
    (tmp_path / "author.py").write_text(AUTHOR)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path),
        str(tmp_path / "author.py"),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout.splitlines()
    messages = [line.partition("author.py:")[2] for line in lines if "author.py:" in line]
    assert [message.partition("  [")[0].replace("builtins.", "") for message in messages] == [
        '10: note: Revealed type is "author.GreeterConfig"',
        '11: note: Revealed type is "str"',
        '12: error: Property "greeting" defined in "GreeterConfig" is read-only',
        '13: error: Argument "greeting" to "GreeterConfig" has incompatible type "int"; expected "str"',
        '14: error: Incompatible types in assignment (expression has type "str", variable has type "int")',
    ]


def test_importing_config_does_not_import_what_only_mistakes_need() -> None:
    code = "import sys, provider_sdk.config; print('difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
