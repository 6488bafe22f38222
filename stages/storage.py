"""Storage by URI: a local path, `s3://` or `gs://`, through pyarrow.fs. The only module that opens files for the
stages.

In: URIs. Out: bytes, file identities, local copies. A write is atomic: a rename on a disk, a single put (or multipart
completion) on an object store, so that a reader sees a whole file or none.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

FULL = (errno.ENOSPC, errno.EDQUOT)
NO_WRITING = (*FULL, errno.EROFS)
# how the clients of object stores say that no object can be had, or that it is not for us; they give no other sign
NO_ANSWER = re.compile(
    r"AWS Error (NETWORK_CONNECTION|REQUEST_TIMEOUT|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|SLOW_DOWN|THROTTLING"
    r"|NO_SUCH_BUCKET|ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|UNRECOGNIZED_CLIENT"
    r"|SIGNATURE_DOES_NOT_MATCH|REQUEST_EXPIRED|REQUEST_TIME_TOO_SKEWED)"
    r"|ExpiredToken|curlCode|CURL error|UNAVAILABLE|UNAUTHENTICATED|PERMISSION_DENIED"
)


class Unusable(RuntimeError):
    """A place that everything rests on cannot be used. No episode's fault: the whole build stops."""

    def __init__(self, uri: str, words: str) -> None:
        super().__init__(f"{uri} {words}, then run this again")
        self.uri, self.words = uri, words

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.uri, self.words))


class Unwritable(Unusable):
    """No room left, or read-only."""


class Unreachable(Unusable):
    """An object store that does not answer, or not to us."""


class UnknownStore(ValueError):
    """A URI of a kind that pyarrow does not know, or a path that is no text."""


class NotAFile(OSError):
    """Something of that name is there, and it is no file that could be read to its end."""


@contextmanager
def writing(uri: str) -> Iterator[None]:
    """Turn the errors of a full, read-only or unreachable place into Unusable; all others pass as they are."""
    try:
        with reaching(uri):
            yield
    except OSError as error:
        if error.errno in NO_WRITING:
            cure = "make room" if error.errno in FULL else "make it writable"
            raise Unwritable(uri, f"cannot be written: {os.strerror(error.errno)}; {cure}") from error
        raise


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turn the error of an object store that does not answer into Unreachable; all others pass as they are."""
    try:
        yield
    except OSError as error:
        if not is_local(uri) and NO_ANSWER.search(str(error)):
            cure = "look at network, credentials and bucket"
            raise Unreachable(uri, f"cannot be used: {_brief(error)}; {cure}") from error
        raise


def _brief(error: OSError) -> str:
    """What a store says, without what was asked of it and the number of the request."""
    words = re.sub(r"^.*?(?=AWS Error)|\(Request ID.*|; Details:.*", "", " ".join(str(error).split()))
    return words.strip()[:300]


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells one version of a file from another: uri, size in bytes, modification time in ns."""

    uri: str
    size: int
    mtime_ns: int


SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")


def normalise(uri: str) -> str:
    """An absolute local path, or the URI as given without a trailing slash. Raises UnknownStore for a path that is no
    text: other programs, tables and JSON could not name it."""
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise UnknownStore(f"{uri!a}: the path is not UTF-8, and cannot be written down; rename it") from error
    if not is_local(uri) and not uri.startswith("file://"):
        return uri.rstrip("/")
    return os.path.abspath(uri.removeprefix("file://"))


def is_local(uri: str) -> bool:
    return SCHEME.match(uri) is None


def join(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/"), *parts])


def name_of(uri: str) -> str:
    """Last part of a path."""
    return uri.rstrip("/").rsplit("/", 1)[-1]


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Filesystem and the path in it. Raises UnknownStore, Unreachable."""
    if is_local(uri):
        return pafs.LocalFileSystem(), uri
    try:
        with reaching(uri):
            fs, path = pafs.FileSystem.from_uri(_delayed(uri))
    except pa.ArrowInvalid as error:
        words = f"{uri}: no storage of this kind is known; a path, s3:// or gs:// is expected"
        raise UnknownStore(words) from error
    return fs, path


def _delayed(uri: str) -> str:
    """An S3 URI that opens a file when it is known how large it is: a small one is then a single put, not three
    requests."""
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


@contextmanager
def opened(uri: str) -> Iterator[tuple[pa.NativeFile, int]]:
    """(a file to read, its size in bytes). Raises FileNotFoundError, NotAFile, Unreachable."""
    _regular(uri)
    fs, path = filesystem(uri)
    with reaching(uri), fs.open_input_file(path) as file:
        yield file, int(file.size())


def read_bytes(uri: str) -> bytes:
    """Whole file. Raises FileNotFoundError, NotAFile, Unreachable."""
    with opened(uri) as (file, _):
        data: bytes = file.read()
    return data


def _regular(uri: str) -> None:
    """Raises NotAFile for a pipe, a socket or a device: opening one may wait for ever, and no signal would end it."""
    if not is_local(uri):
        return
    kind = os.stat(uri).st_mode
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe, socket or device"
        raise NotAFile(f"{uri} is {what}, a file is expected")


def write_bytes(uri: str, data: bytes | memoryview) -> None:
    """Publish a whole file atomically."""
    if not is_local(uri):
        fs, path = filesystem(uri)
        with writing(uri), fs.open_output_stream(path) as stream:
            stream.write(data)
        return
    with staged(uri) as temporary, open(temporary, "wb") as file:
        file.write(data)


@contextmanager
def staged(uri: str) -> Iterator[str]:
    """A local path to write to; on a clean exit it becomes `uri` whole (flushed to disk), else it is removed.

    Raises Unwritable where the place, or the block, runs out of room; Unreachable.
    """
    if is_local(uri):
        folder = os.path.dirname(uri)
        with writing(uri):
            os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, f".{os.path.basename(uri)}.{uuid.uuid4().hex[:8]}.tmp")
    else:
        folder = tempfile.mkdtemp(prefix="corpus-")
        temporary = os.path.join(folder, name_of(uri))
    try:
        with writing(uri):
            yield temporary
            if is_local(uri):
                with open(temporary, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(temporary, uri)
            else:
                fs, path = filesystem(uri)
                with open(temporary, "rb") as source, fs.open_output_stream(path) as stream:
                    shutil.copyfileobj(source, stream, 1 << 22)
    finally:
        if is_local(uri):
            if os.path.exists(temporary):
                os.remove(temporary)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A local path with the file's content: the path itself on a disk, a temporary copy of a remote object."""
    if is_local(uri):
        _regular(uri)
        yield uri
        return
    folder = tempfile.mkdtemp(prefix="corpus-")
    try:
        fs, path = filesystem(uri)
        target = os.path.join(folder, name_of(uri))
        with reaching(uri), writing(folder), fs.open_input_stream(path) as stream, open(target, "wb") as file:
            shutil.copyfileobj(stream, file, 1 << 22)
        yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def link(target: str, uri: str) -> None:
    """A second name for a file of the same disk: a hard link, or a symbolic one where the disk knows no other. What
    has that name and is another file is replaced. Raises Unwritable."""
    if os.path.exists(uri) and os.path.samefile(target, uri):
        return
    temporary = join(os.path.dirname(uri), f".{name_of(uri)}.{os.urandom(4).hex()}.tmp")
    with writing(uri):
        os.makedirs(os.path.dirname(uri), exist_ok=True)
        try:
            os.link(target, temporary)
        except OSError:
            os.symlink(os.path.relpath(target, os.path.dirname(uri)), temporary)
        os.replace(temporary, uri)


def exists(uri: str) -> bool:
    fs, path = filesystem(uri)
    with reaching(uri):
        return bool(fs.get_file_info(path).type != pafs.FileType.NotFound)


def is_file(uri: str) -> bool:
    fs, path = filesystem(uri)
    with reaching(uri):
        return bool(fs.get_file_info(path).type == pafs.FileType.File)


def listing(uri: str) -> dict[str, FileIdentity]:
    """Every file below a folder by its path relative to it; empty if there is no such folder. One call, however many
    files."""
    if is_local(uri):
        return dict(_walked(uri, ""))
    fs, path = filesystem(uri)
    selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
    files = {}
    with reaching(uri):
        found = fs.get_file_info(selector)
    for info in found:
        if info.type == pafs.FileType.File:
            relative = info.path[len(path) :].lstrip("/")
            files[relative] = FileIdentity(join(uri, relative), info.size, info.mtime_ns or 0)
    return files


def is_text(name: str) -> bool:
    """Whether a name can be written down: file systems allow any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walked(root: str, folder: str) -> Iterator[tuple[str, FileIdentity]]:
    """(relative path, identity) of the files below a folder of a disk whose names are text; links to folders are not
    followed."""
    try:
        with os.scandir(os.path.join(root, folder)) as found:
            entries = [e for e in found if is_text(e.name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walked(root, path)
        elif entry.is_file():
            try:
                about = entry.stat()
            except FileNotFoundError:  # gone meanwhile
                continue
            yield path, FileIdentity(join(root, path), about.st_size, about.st_mtime_ns)


def folders(uri: str) -> list[str]:
    """Names of the folders directly below one, sorted; on a disk those that are text."""
    if is_local(uri):
        with os.scandir(uri) as entries:
            return sorted(e.name for e in entries if e.is_dir() and is_text(e.name))
    fs, path = filesystem(uri)
    selector = pafs.FileSelector(path, allow_not_found=True)
    with reaching(uri):
        return sorted(i.base_name for i in fs.get_file_info(selector) if i.type == pafs.FileType.Directory)


def remove(uri: str) -> None:
    """Remove a file if it is there."""
    fs, path = filesystem(uri)
    with writing(uri), suppress(FileNotFoundError):  # another may remove it between a look and the deed
        if fs.get_file_info(path).type == pafs.FileType.File:
            fs.delete_file(path)


def remove_empty_folders(uri: str) -> None:
    """Remove a folder and those in it as far as they are empty. An object store has none, but pyarrow puts an empty
    object in place of one whose last file it removes."""
    if is_local(uri):
        for folder, _, _ in os.walk(uri, topdown=False):
            with suppress(OSError):  # not empty, or gone
                os.rmdir(folder)
    elif not listing(uri):
        fs, path = filesystem(uri)
        with writing(uri), suppress(FileNotFoundError):
            fs.delete_dir(path)


def size(uri: str) -> int:
    """Bytes of a file. Raises FileNotFoundError, Unreachable."""
    fs, path = filesystem(uri)
    with reaching(uri):
        info = fs.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise FileNotFoundError(uri)
    return int(info.size)
