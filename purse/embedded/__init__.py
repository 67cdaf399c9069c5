"""A Redis server of the program's own, for tests, examples and a first try.

Server             a redis-server process, and its end      ``_server``
find_server()      the program that it runs
                   a child that ends with its parent        ``_guarded_child``
"""

from purse.embedded._server import Server, find_server

__all__ = ["Server", "find_server"]
