"""`provider kv …`: look into a store, move it to another, and compare the two.

Exit codes: 0 done, and equal; 1 it could not be done, or there are differences; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from provider_sdk import Layer, NotFound, Unavailable
from provider_sdk.verbs import run, usage
from providers.keyvalue.backend import Backend
from providers.keyvalue.comparison import compare as compare_backends
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.dump import read_dump
from providers.keyvalue.files import reading, writing
from providers.keyvalue.namespaces import namespace_of
from providers.keyvalue.stores import one_store
from providers.keyvalue.transfer import Existing, Tell, export_entries, import_entries

PASSWORD, OTHER_PASSWORD = "PROVIDER_KV_PASSWORD", "PROVIDER_KV_OTHER_PASSWORD"
STANDARD = "-"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=f"""Key-value stores: look into one, move it to another, compare the two.

    A store is sqlite:///path, redis://…, rediss://… or postgres://…, as in a link's `url`.
    Its password may come from a file or from the variable {PASSWORD} instead.
    Exit codes: 0 done, and equal; 1 it could not be done, or there are differences; 2 wrong usage.""",
)

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="URL of the store.")]
NamespaceOption = Annotated[str, typer.Option(help="The namespace, as the link's setting; by default the one without a name.")]
ActorOption = Annotated[str, typer.Option(help="Public key of an actor: its own namespace, where the link has per_actor.")]
BucketOption = Annotated[str, typer.Option(help="A component's bucket: its own namespace, where the link does not ignore buckets.")]
PasswordOption = Annotated[Path | None, typer.Option(help=f"File that holds the store's password; else the variable {PASSWORD}.")]
SettingOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the link, such as ca_file; may be repeated.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For a program to read.")]


@dataclass(frozen=True)
class Side:
    """One namespace of a store, as the command line names it."""

    config: KeyValueConfig
    actor: str
    bucket: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """Connect at first use."""
        async with one_store(self.config, Path.cwd()) as store:
            yield store.namespace(namespace_of(self.config, self.actor, self.bucket))


@app.command()
def stats(
    store: StoreArgument,
    namespace: NamespaceOption = "",
    actor: ActorOption = "",
    bucket: BucketOption = "",
    password_file: PasswordOption = None,
    settings: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count what there is.

    Keys by kind, those of them that expire, bytes.
    """
    side = _existing(_side(store, namespace, (actor, bucket), password_file, settings))

    async def work() -> dict[str, int]:
        async with side.open() as backend:
            return asdict(await backend.stats())

    found = run(work())
    words = {"texts": "text", "lists": "lists", "sets": "sets", "expiring": "of them expire", "size": "bytes"}
    print(json.dumps(found) if as_json else "\n".join(f"{words[name]:16}{count:>14}" for name, count in found.items()))


@app.command("export")
def export_(
    store: StoreArgument,
    file: Annotated[str, typer.Argument(help="File to write when all is there; - is standard output.")] = STANDARD,
    namespace: NamespaceOption = "",
    actor: ActorOption = "",
    bucket: BucketOption = "",
    password_file: PasswordOption = None,
    settings: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every entry as a line of JSON."""
    side = _existing(_side(store, namespace, (actor, bucket), password_file, settings))

    async def work(write: Callable[[bytes], object], tell: Tell) -> int:
        async with side.open() as backend:
            return await export_entries(backend, write, tell)

    if file == STANDARD:
        with _files(), _progress("exporting", quiet=sys.stdout.isatty()) as tell:
            count = run(work(sys.stdout.buffer.write, tell))
            sys.stdout.buffer.flush()
    else:
        with _files(), writing(Path(file)) as target, _progress("exporting") as tell:
            count = run(work(target.write, tell))
    where = sys.stderr if file == STANDARD else sys.stdout
    print(json.dumps({"exported": count}) if as_json else f"{count} entries exported", file=where)


@app.command("import")
def import_(
    store: StoreArgument,
    file: Annotated[str, typer.Argument(help="File to read, an export; - is standard input.")] = STANDARD,
    replace_: Annotated[bool, typer.Option("--replace", help="Put the entries over what is there.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave keys that exist as they are.")] = False,
    namespace: NamespaceOption = "",
    actor: ActorOption = "",
    bucket: BucketOption = "",
    password_file: PasswordOption = None,
    settings: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the entries of an export into a store.

    The whole file is checked first. The namespace has to be empty, unless --replace or --keep is given.
    """
    if replace_ and keep:
        usage("--replace and --keep contradict each other")
    existing = Existing.REPLACE if replace_ else Existing.KEEP if keep else Existing.REFUSE
    side = _side(store, namespace, (actor, bucket), password_file, settings)
    name = "standard input" if file == STANDARD else file
    with _files(), reading(None if file == STANDARD else Path(file)) as source:
        with _progress("checking") as tell:
            total = sum(tell(1) or 1 for _ in read_dump(source, name))
        source.seek(0)

        async def work(tell: Tell) -> dict[str, int]:
            async with side.open() as backend:
                return asdict(await import_entries(backend, read_dump(source, name), existing, tell))

        with _progress("importing", total) as tell:
            done = run(work(tell))
    notes = [
        f"{done[kind]} {word}" for kind, word in (("kept", "kept as they were"), ("expired", "left out, their time is over")) if done[kind]
    ]
    print(json.dumps(done) if as_json else ", ".join([f"{done['written']} entries imported", *notes]))


@app.command("compare")
def compare_(
    first: Annotated[str, typer.Argument(help="URL of the first store.")],
    second: Annotated[str, typer.Argument(help="URL of the second store.")],
    namespace: NamespaceOption = "",
    actor: ActorOption = "",
    bucket: BucketOption = "",
    password_file: PasswordOption = None,
    settings: SettingOption = None,
    other_namespace: Annotated[str | None, typer.Option(help="The second's namespace, where it is another.")] = None,
    other_actor: Annotated[str | None, typer.Option(help="The second's actor, where it is another.")] = None,
    other_bucket: Annotated[str | None, typer.Option(help="The second's bucket, where it is another.")] = None,
    other_password_file: Annotated[Path | None, typer.Option(help=f"The second's password; else the variable {OTHER_PASSWORD}.")] = None,
    other_settings: Annotated[list[str] | None, typer.Option("--other-set", metavar="NAME=VALUE", help="A setting of the second.")] = None,
    most: Annotated[int, typer.Option("--show", min=0, help="Differences that are told of one by one.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Say whether two stores hold the same.

    Expiry may differ by a second.
    """
    one = _existing(_side(first, namespace, (actor, bucket), password_file, settings))
    other = _existing(
        _side(
            second,
            namespace if other_namespace is None else other_namespace,
            (actor if other_actor is None else other_actor, bucket if other_bucket is None else other_bucket),
            other_password_file,
            other_settings,
            OTHER_PASSWORD,
        )
    )

    async def work(tell: Tell) -> Any:
        async with one.open() as left, other.open() as right:
            return await compare_backends(left, right, most, tell)

    with _progress("comparing") as tell:
        found = run(work(tell))
    counts = {name: getattr(found, name) for name in ("equal", "only_first", "only_second", "different")}
    if as_json:
        print(json.dumps({"same": found.same, **counts, "differences": found.lines}))
    else:
        print(*found.lines, sep="\n", end="\n" if found.lines else "")
        words = {"only_first": "only in the first", "only_second": "only in the second", "different": "different"}
        print(", ".join([f"{found.equal} entries are equal", *(f"{counts[name]} {word}" for name, word in words.items() if counts[name])]))
    raise typer.Exit(0 if found.same else 1)


def _side(
    url: str, namespace: str, part: tuple[str, str], password_file: Path | None, settings: list[str] | None, variable: str = PASSWORD
) -> Side:
    """`part` is the actor and the bucket whose namespace it is below the one named, empty for none."""
    actor, bucket = part
    given = dict(_pair(item) for item in settings or [])
    layers = [Layer("--set", given), Layer("the command line", {"url": url, "namespace": namespace, "per_actor": bool(actor)})]
    if password_file is not None:
        with _files():
            layers.append(Layer(str(password_file), {"password": password_file.read_text("utf-8").rstrip("\r\n")}, secret=True))
    elif os.environ.get(variable):
        layers.append(Layer(variable, {"password": os.environ[variable]}, secret=True))
    loaded = KeyValueConfig.load(*layers)
    if loaded.warnings:
        usage(loaded.warnings[0].replace("is ignored", "is not known"))
    if loaded.config.kind == "memory":
        usage("memory:// is the memory of one process: there is nothing in it that another one could reach")
    return Side(loaded.config, actor, bucket)


def _existing(side: Side) -> Side:
    """Nothing is made where something is to be read: SQLite would make the file that a slip of the pen names."""
    if side.config.kind == "sqlite":
        from providers.keyvalue.backends.sqlite import file_of

        path = file_of(side.config, Path.cwd())
        if not path.exists():
            raise NotFound(f"{path} does not exist")
    return side


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        usage(f"--set {text}: NAME=VALUE is expected")
    return name, value


@contextmanager
def _files() -> Iterator[None]:
    """What the system says about a file becomes one line."""
    try:
        yield
    except BrokenPipeError:
        raise
    except UnicodeDecodeError as error:
        raise Unavailable("the file of the password is not text (UTF-8)") from error
    except OSError as error:
        raise Unavailable(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)) from error


@contextmanager
def _progress(title: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Tell]:
    """A bar on standard error, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)
