"""What the system's errors mean to a caller, and what can be done. Paths are for the log alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from provider_sdk import (
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ProviderError,
    ResourceExhausted,
    Unavailable,
    Unsupported,
)

_NOT_ALLOWED = "the user that the provider runs as may not do that below root: change the owner or the permissions there"
_CHANGED = "something else changes the files below root at the same time: try again"
_DEVICE = "the disk or file server below root fails: look in the system's log"

TABLE: dict[int, tuple[Callable[..., ProviderError], str]] = {
    errno.ENOENT: (NotFound, "it is not there any more"),
    errno.EACCES: (PermissionDenied, _NOT_ALLOWED),
    errno.EPERM: (PermissionDenied, _NOT_ALLOWED),
    errno.EROFS: (PermissionDenied, "the file system below root may only be read: mount it for writing"),
    errno.ELOOP: (PermissionDenied, "a symbolic link is in the way: below root none is followed"),
    errno.ENOSPC: (ResourceExhausted, "the disk below root is full: make room there"),
    errno.EDQUOT: (ResourceExhausted, "the quota below root is used up: raise it, or make room"),
    errno.EFBIG: (ResourceExhausted, "the file system below root, or a limit of the process, takes no file that large"),
    errno.EMFILE: (ResourceExhausted, "the provider has too many files open: raise its limit (ulimit -n), or lower max_streams"),
    errno.ENFILE: (ResourceExhausted, "the system has too many files open: raise fs.file-max"),
    errno.ENOMEM: (ResourceExhausted, "the system has no memory left"),
    errno.EMLINK: (ResourceExhausted, "the file system below root takes no more folders there"),
    errno.EIO: (Unavailable, _DEVICE),
    errno.ENXIO: (Unavailable, _DEVICE),
    errno.ENODEV: (Unavailable, _DEVICE),
    errno.ETIMEDOUT: (Unavailable, _DEVICE),
    errno.ENOTCONN: (Unavailable, _DEVICE),
    errno.EHOSTDOWN: (Unavailable, _DEVICE),
    errno.ESTALE: (Unavailable, "the file server below root has it under another handle: try again"),
    errno.EBUSY: (Unavailable, "something else holds it, such as a mount: try again"),
    errno.ENOLCK: (Unavailable, "the file system below root gives no locks now: look at its lock service"),
    errno.ENOTDIR: (Unavailable, _CHANGED),
    errno.EISDIR: (Unavailable, _CHANGED),
    errno.EEXIST: (Unavailable, _CHANGED),
    errno.ENOTEMPTY: (Unavailable, _CHANGED),
    errno.ENAMETOOLONG: (InvalidArgument, "the file system below root takes no name that long"),
    errno.EILSEQ: (InvalidArgument, "the file system below root takes no such letters in names"),
    errno.EXDEV: (Unsupported, "a container or folder is a mount of its own: mount at root, or at the actor's folder"),
    errno.EOPNOTSUPP: (Unsupported, "the file system below root has no locks (flock): use another"),
    errno.ENOSYS: (Unsupported, "the file system below root has no locks (flock): use another"),
}


def failure(error: OSError, what: str) -> ProviderError:
    """The error that a caller is told, about `what`."""
    kind, meaning = TABLE.get(error.errno or 0, (Internal, "the system refuses it for a reason that is not known here: see the log"))
    name = errno.errorcode.get(error.errno or 0, "no number")
    where = f" at {os.fsdecode(error.filename)!a}" if isinstance(error.filename, (str, bytes)) else ""
    told = kind(f"{what}: {meaning}", detail=f"{name} {error.strerror}{where}")
    told.__cause__ = error
    return told
