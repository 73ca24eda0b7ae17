"""What a caller of the local blobstore is told when the system refuses, a row of the table each."""

from __future__ import annotations

import errno
import os

import pytest

from provider_sdk.errors import Code
from providers.blobstore.backends.local.errors import TABLE, failure

ROWS = {
    errno.ENOENT: (Code.NOT_FOUND, "not there any more"),
    errno.EACCES: (Code.PERMISSION_DENIED, "permissions"),
    errno.EPERM: (Code.PERMISSION_DENIED, "permissions"),
    errno.EROFS: (Code.PERMISSION_DENIED, "only be read"),
    errno.ELOOP: (Code.PERMISSION_DENIED, "symbolic link"),
    errno.ENOSPC: (Code.RESOURCE_EXHAUSTED, "full"),
    errno.EDQUOT: (Code.RESOURCE_EXHAUSTED, "quota"),
    errno.EFBIG: (Code.RESOURCE_EXHAUSTED, "no file that large"),
    errno.EMFILE: (Code.RESOURCE_EXHAUSTED, "ulimit -n"),
    errno.ENFILE: (Code.RESOURCE_EXHAUSTED, "fs.file-max"),
    errno.ENOMEM: (Code.RESOURCE_EXHAUSTED, "memory"),
    errno.EMLINK: (Code.RESOURCE_EXHAUSTED, "no more folders"),
    errno.EIO: (Code.UNAVAILABLE, "system's log"),
    errno.ENXIO: (Code.UNAVAILABLE, "system's log"),
    errno.ENODEV: (Code.UNAVAILABLE, "system's log"),
    errno.ETIMEDOUT: (Code.UNAVAILABLE, "system's log"),
    errno.ENOTCONN: (Code.UNAVAILABLE, "system's log"),
    errno.EHOSTDOWN: (Code.UNAVAILABLE, "system's log"),
    errno.ESTALE: (Code.UNAVAILABLE, "another handle"),
    errno.EBUSY: (Code.UNAVAILABLE, "holds it"),
    errno.ENOLCK: (Code.UNAVAILABLE, "lock service"),
    errno.ENOTDIR: (Code.UNAVAILABLE, "at the same time"),
    errno.EISDIR: (Code.UNAVAILABLE, "at the same time"),
    errno.EEXIST: (Code.UNAVAILABLE, "at the same time"),
    errno.ENOTEMPTY: (Code.UNAVAILABLE, "at the same time"),
    errno.ENAMETOOLONG: (Code.INVALID_ARGUMENT, "no name that long"),
    errno.EILSEQ: (Code.INVALID_ARGUMENT, "no such letters"),
    errno.EXDEV: (Code.UNSUPPORTED, "mount of its own"),
    errno.EOPNOTSUPP: (Code.UNSUPPORTED, "no locks"),
    errno.ENOSYS: (Code.UNSUPPORTED, "no locks"),
}


def test_the_table_has_these_rows() -> None:
    assert set(TABLE) == set(ROWS)


@pytest.mark.parametrize("number", ROWS, ids=errno.errorcode.get)
def test_an_error_of_the_system_has_its_code_and_says_what_to_do(number: int) -> None:
    code, words = ROWS[number]
    error = OSError(number, os.strerror(number), "secret")
    told = failure(error, "the object 'a' in the container 'c' cannot be read")
    assert told.code is code
    assert told.message.startswith("the object 'a' in the container 'c' cannot be read: ") and words in told.message
    assert "\n" not in told.message and "secret" not in told.message
    assert errno.errorcode[number] in told.detail and "'secret'" in told.detail
    assert told.__cause__ is error


def test_an_error_that_is_not_in_the_table_is_internal_and_named_in_the_log() -> None:
    told = failure(OSError(errno.EDOM, "Domain error"), "it")
    assert (told.code, told.detail) == (Code.INTERNAL, "EDOM Domain error")
