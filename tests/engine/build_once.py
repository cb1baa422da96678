"""Make a file or folder of the cache once, however many processes ask for it, and whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold an advisory lock that the kernel releases when the process ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, built by `build(partial)` under another name and renamed when it is complete.

    `build` must create `partial` (a folder or a file) itself. What an earlier crash left is removed first.
    """
    if target.exists():
        return target
    with exclusive(lock_file(target)):
        if target.exists():
            return target
        partial = target.with_name(f".{target.name}.partial")
        remove(partial)
        try:
            build(partial)
        except BaseException:
            remove(partial)
            raise
        make_world_readable(partial)
        partial.rename(target)
    return target


def lock_file(target: Path) -> Path:
    """Return the file by which builders of `target` exclude each other."""
    return target.with_name(f".{target.name}.lock")


def remove(path: Path) -> None:
    """Delete a file or a folder tree, or nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_world_readable(path: Path) -> None:
    """Give everyone read access: a pod reads these files under another user than the one that wrote them."""
    _add_mode(path)
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            _add_mode(Path(folder, name))


def _add_mode(path: Path) -> None:
    if path.is_symlink():
        return
    mode = path.stat().st_mode & 0o7777
    wanted = mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444)
    if wanted != mode:
        path.chmod(wanted)
