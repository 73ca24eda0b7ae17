"""What a registry for development keeps in its folder: blobs by digest, and for each repository its manifests and tags.

blobs/sha256/HEX                            content, whichever repositories use it
uploads/ID                                  uploads that are not ended
repositories/NAME/_manifests/sha256:HEX     the media type of a manifest, which is a blob
repositories/NAME/_tags/TAG                 the digest that the tag stands for
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from pathlib import Path

_HASHES = {"sha256": 64, "sha512": 128}
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = re.compile(rf"{_PART}(?:/{_PART})*")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_BLOCK = 1 << 20


def is_digest(text: str) -> bool:
    """Whether the text is a digest of a kind that is served."""
    kind, _, value = text.partition(":")
    return len(value) == _HASHES.get(kind, 0) and re.fullmatch("[0-9a-f]+", value) is not None


class Store:
    """The folder of a registry; what is named has been checked against NAME, TAG and `is_digest` before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.rmtree(folder / "uploads", ignore_errors=True)
        (folder / "uploads").mkdir(parents=True)

    def blob(self, digest: str) -> Path | None:
        """The file of a blob, if it is there."""
        path = self._blob(digest)
        return path if path.is_file() else None

    def _blob(self, digest: str) -> Path:
        return self._folder.joinpath("blobs", *digest.split(":"))

    def begin(self) -> str:
        """A new upload's id."""
        identifier = secrets.token_hex(16)
        self._upload(identifier).touch()
        return identifier

    def _upload(self, identifier: str) -> Path:
        return self._folder / "uploads" / identifier

    def upload(self, identifier: str) -> Path | None:
        """The file that an upload appends to, if there is one."""
        path = self._upload(identifier)
        return path if re.fullmatch("[0-9a-f]{32}", identifier) and path.is_file() else None

    def finish(self, identifier: str, digest: str) -> bool:
        """Make a blob of an upload; False, and the upload is gone, where its content has another digest."""
        path = self._upload(identifier)
        hashed = hashlib.new(digest.partition(":")[0])
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hashed.update(block)
        if hashed.hexdigest() != digest.partition(":")[2]:
            path.unlink()
            return False
        self._place(path, self._blob(digest))
        return True

    def put_manifest(self, name: str, reference: str, content: bytes, media_type: str) -> str:
        """Keep a manifest under its digest and, unless `reference` is one, under that tag; empty where it has another digest."""
        kind = reference.partition(":")[0] if is_digest(reference) else "sha256"
        digest = f"{kind}:{hashlib.new(kind, content).hexdigest()}"
        if is_digest(reference) and digest != reference:
            return ""
        self._write(self._blob(digest), content)
        self._write(self._repository(name) / "_manifests" / digest, media_type.encode())
        if not is_digest(reference):
            self._write(self._repository(name) / "_tags" / reference, digest.encode())
        return digest

    def manifest(self, name: str, reference: str) -> tuple[str, str] | None:
        """Digest and media type of the manifest behind a tag or a digest."""
        repository = self._repository(name)
        try:
            digest = reference if is_digest(reference) else (repository / "_tags" / reference).read_text()
            return digest, (repository / "_manifests" / digest).read_text()
        except FileNotFoundError:
            return None

    def delete_manifest(self, name: str, reference: str) -> bool:
        """Forget a tag, or a manifest with all its tags; False where it is not there. Blobs stay."""
        tags = self._repository(name) / "_tags"
        found = self.manifest(name, reference)
        if found is None:
            return False
        if is_digest(reference):
            (self._repository(name) / "_manifests" / reference).unlink()
        for tag in [tag for tag in self.tags(name) or () if (tags / tag).read_text() == reference or tag == reference]:
            (tags / tag).unlink()
        return True

    def tags(self, name: str) -> list[str] | None:
        """The tags of a repository in order, None where there is no such repository."""
        repository = self._repository(name)
        if not (repository / "_manifests").is_dir():
            return None
        folder = repository / "_tags"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def _repository(self, name: str) -> Path:
        return self._folder / "repositories" / name

    def _write(self, path: Path, content: bytes) -> None:
        aside = self._upload(secrets.token_hex(16))
        aside.write_bytes(content)
        self._place(aside, path)

    def _place(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
