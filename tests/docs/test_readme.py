"""The README and the documentation: every block of Python in them runs, as it stands.

Blocks that use a server of their own (``embedded://``, ``Server``) run anywhere. The others, among them the
examples of the 2.x README, use ``Redis()``, which is port 6379: a server is started there for them if the port is
free. One that was there already is never touched, and these tests are skipped.

``test_docs.py`` has the tutorial, whose blocks are files. A block of ``py``, not ``python``, is for another library.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from purse.embedded import Server
from tests.support.scripts import ROOT, run
from tests.support.selection import thorough_but

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(page: Path) -> Iterator[tuple[str, str]]:
    """The blocks of Python in a page, each with its place: ``README.md:42``."""
    text = page.read_text("utf-8")
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1)) + 1
        yield f"{page.relative_to(ROOT)}:{line}", block[1]


SEED = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "tests" / "seed").glob("*.py"))}
# Those of the 2.x README run as files, further below.
BLOCKS = {page: [block for block in blocks_of(page) if block[1] not in SEED.values()] for page in PAGES}

# Each block is a program of its own; that they share a process saves the imports.
_ONE_AFTER_THE_OTHER = """
import json, sys
for place, block in json.loads(sys.argv[1]):
    exec(compile(block, place, "exec"), {"__name__": "__main__"})
"""


def name_of(page: Path) -> str:
    """``docs/hash.md``."""
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def server_on_6379() -> Iterator[None]:
    """An empty server on the default port, gone at the end."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", 6379), timeout=1):
        pytest.skip("a server that is not ours listens on 6379")
    with Server(port=6379, password=""):  # fails if the port is taken meanwhile
        yield


@pytest.mark.parametrize("page", thorough_but(PAGES[0], every=[page for page in PAGES if BLOCKS[page]]), ids=name_of)
def test_every_block_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The blocks of a page end with status 0, without a word on standard error, and leave no file behind."""
    if any("Redis()" in block for _, block in BLOCKS[page]):
        request.getfixturevalue("server_on_6379")

    ended = run(["-c", _ONE_AFTER_THE_OTHER, json.dumps(BLOCKS[page])], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.rows(1)
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        (
            "redis_list",
            """\
['a', 'b', 'c', 'd', 'e', 'f']
True
False
2
None
['c', 'd', 'e']
""",
        ),
        (
            "redis_hash",
            """\
5
False
avocado name='avocado' healthiness=8.0 tasty=True
broccoli name='broccoli' healthiness=12.2 tasty=True
carrot name='carrot' healthiness=5.0 tasty=False
lettuce name='lettuce' healthiness=3.0 tasty=False
spinach name='spinach' healthiness=9.8 tasty=False
""",
        ),
    ],
)
def test_the_examples_of_2x_print_what_they_say(name: str, printed: str, tmp_path: Path, server_on_6379: None) -> None:
    """The 2.x README says in comments what its examples print; a hash has no order, so its pairs may come in any."""
    ended = run([ROOT / "tests" / "seed" / f"{name}.py"], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    lines = ended.out.splitlines()
    if name == "redis_hash":
        lines[2:] = sorted(lines[2:])
    assert lines == printed.splitlines()


@pytest.mark.thorough
def test_the_lock_of_2x_counts_to_a_hundred(tmp_path: Path, server_on_6379: None) -> None:
    """Ten tasks count from 0 to 100 without a gap, each step behind the lock, and no key of the lock is left."""
    ended = run([ROOT / "tests" / "seed" / "redlock.py"], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    worked = [line for line in ended.out.splitlines() if line.startswith("the task ")]
    assert [line.rpartition(": ")[2] for line in worked] == [str(number) for number in range(1, 101)]
    assert ended.out.splitlines()[-101:] == [str(number) for number in range(101)]
    with socket.create_connection(("localhost", 6379)) as wire, wire.makefile("rb") as replies:
        for database in range(5):
            wire.sendall(b"SELECT %d\r\nEXISTS redlock:list_lock\r\n" % database)
            assert [replies.readline(), replies.readline()] == [b"+OK\r\n", b":0\r\n"]


def test_the_examples_of_2x_are_in_the_readme() -> None:
    """All of them stand there unedited."""
    readme = [block for _, block in blocks_of(ROOT / "README.md")]

    assert len(SEED) == 3
    assert all(example in readme for example in SEED.values())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    """A link names a file of the repository and, behind a #, a heading in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in slugs, target
