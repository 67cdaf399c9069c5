"""GuardedChild: a server process and its directory that never outlive this process.

    this process ──pipe──> sh (the guard) ──┬──> redis-server
                                            └──> reader, blocked on the pipe

The guard prevents orphans. When this process ends, even by SIGKILL, the kernel closes the pipe. The reader
sees end of file and kills the server, and the guard removes the directory. When the server ends first,
the guard kills the reader and ends as well, and this process sees that the guard has ended. A terminal's Ctrl-C
does not reach the three processes: they are in a separate session, so code that handles the
KeyboardInterrupt still has its server. The cost is two small shells per server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from purse._engine.forks import ThreadLock, in_child
from purse.errors import ServerFailed

__all__ = ["GuardedChild"]

_END_SECONDS = 5.0
_SOCKET_PATH_BYTES = 103  # sun_path is 104 bytes on macOS and 108 on Linux, the closing NUL included
_LOG_BYTES = 8192
_SHELL = "/bin/sh"

# $1 is the directory, the rest is the server's command line. Standard input is the pipe, copied to fd 3
# because sh gives background commands /dev/null. Standard output takes the server's pid, and standard
# error is the log. The reader leaves its mark *before* it kills, so that the mark is there when `wait`
# returns. It uses `true`, because a failed redirection of the special `:` would end it before the kill.
_GUARD = """
directory=$1
shift
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
{ read -r _ <&3; true >"$directory/orphaned.$$"; kill -9 "$server"; } &
reader=$!
wait "$server"
status=$?
kill -9 "$reader"
wait "$reader"
if [ -e "$directory/orphaned.$$" ]; then
    case $directory in /*/purse-*) rm -rf -- "$directory" ;; esac
fi
exit "$status"
"""


class GuardedChild:
    """The processes and the directory of a ``Server``, which its finalizer has to remove.

    The ``Server`` refers to this object. This object does not refer to it, because it would never be finalized then.
    """

    def __init__(self) -> None:
        self.lock = ThreadLock()
        self.directory: Path | None = None
        self.pid = 0
        self._owner = 0
        self._guard: subprocess.Popen[bytes] | None = None
        self._pipe: IO[bytes] | None = None
        _children.add(self)

    @property
    def alive(self) -> bool:
        guard = self._guard
        return self.pid != 0 and guard is not None and guard.poll() is None

    def settle(self) -> bool:
        """Make the directory if it does not exist. Returns whether it existed already."""
        if self.directory is None:
            self._owner = os.getpid()
            self.directory = _make_directory()
            return False
        if self._owner != os.getpid():
            raise ServerFailed(f"this Server belongs to process {self._owner}: make a new Server() in a forked process")
        return True

    def spawn(self, command: list[str]) -> None:
        self.end(signal.SIGKILL)
        directory = str(self.directory)
        with Path(directory, "server.log").open("wb") as log:
            self._guard = subprocess.Popen(
                [_SHELL, "-c", _GUARD, "purse-guard", directory, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,  # where Redis keeps its files
                start_new_session=True,
            )
        self._pipe = self._guard.stdin
        assert self._guard.stdout is not None
        with self._guard.stdout as reply:
            self.pid = int(reply.readline() or 0)

    def end(self, how: signal.Signals) -> None:
        """Send ``how`` to the server, SIGKILL 5 s later, and return when the guard has also ended."""
        with self.lock:
            guard, self._guard = self._guard, None
            pid, self.pid = self.pid, 0
            if guard is None:
                return
            if not pid:  # interrupted before the pid was read, but the guard knows it
                self._let_go()
            for signum in (how, signal.SIGKILL):
                # While the guard lives it has not reaped the server, so no other process can have the pid.
                if pid and guard.poll() is None:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signum)
                with suppress(subprocess.TimeoutExpired):
                    guard.wait(_END_SECONDS)
                    break
            else:
                guard.kill()
                guard.wait()
            self._let_go()

    def discard(self) -> None:
        """End the server and remove its directory, unless they belong to the process we were forked from."""
        with self.lock:
            self.end(signal.SIGKILL)
            if self.directory is not None and self._owner == os.getpid():
                shutil.rmtree(self.directory, ignore_errors=True)
                self.directory = None

    def disown(self) -> None:
        """In a forked child: close the copy of the pipe, so that only the end of the owner ends the server."""
        self._let_go()
        if self._guard is not None:
            self._guard.returncode = 0  # not a child of this process: Popen must not wait for it or warn of it
            self._guard = None

    def log(self) -> str:
        with suppress(OSError), Path(str(self.directory), "server.log").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_BYTES))
            return log.read().decode(errors="replace").strip()
        return ""

    def _let_go(self) -> None:
        if self._pipe is not None:
            self._pipe.close()


_children: weakref.WeakSet[GuardedChild] = weakref.WeakSet()


def _disown_all() -> None:
    for child in list(_children):  # this process has one thread, so nothing is added during the loop
        child.disown()


in_child(_disown_all)


def _make_directory() -> Path:
    tried: list[str] = []
    for parent in (None, "/tmp"):
        try:
            directory = Path(tempfile.mkdtemp(prefix="purse-", dir=parent)).absolute()
        except OSError as error:
            tried.append(str(error))
            continue
        if len(os.fsencode(directory / "redis.sock")) <= _SOCKET_PATH_BYTES:
            return directory
        directory.rmdir()
        tried.append(f"{directory} is too long for the path of a unix socket")
    raise ServerFailed(
        f"could not make a directory for the server's socket: {'; '.join(tried)}. Set TMPDIR to a short, writable path"
    )
