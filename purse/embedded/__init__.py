"""A private Redis server for a program, for tests, examples and a first try.

Server             a redis-server process, and its end      ``_server``
find_server()      the program that it runs
                   a child that ends with its parent        ``_guarded_child``
                   a client for a URL, embedded:// too      ``_opening``
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purse.embedded._server import Server, find_server

__all__ = ["Server", "find_server"]

# Loaded at first use: a store that is opened on a server elsewhere needs ``_opening`` alone.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'purse.embedded' has no attribute {name!r}")
        from purse.embedded import _server

        return getattr(_server, name)
