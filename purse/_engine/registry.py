"""The executor of each client: one for each client object, for all stores and collections that are bound to it.

It exists as long as its client. A forked child begins without connections: the inherited ones are its parent's.
"""

from __future__ import annotations

import weakref

from purse._engine.clients import RedisClient, check_client
from purse._engine.executor import ClientExecutor
from purse._engine.forks import in_child

__all__ = ["executor_for"]

_executors: weakref.WeakKeyDictionary[RedisClient, ClientExecutor] = weakref.WeakKeyDictionary()


def executor_for(client: RedisClient) -> ClientExecutor:
    """The executor of ``client``. The first call makes it. No I/O.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.
    """
    try:
        return _executors[client]
    except (KeyError, TypeError):
        check_client(client)
    made = ClientExecutor(client)
    executor = _executors.setdefault(client, made)  # two threads may be the first to use a client
    if executor is made:
        weakref.finalize(client, executor.abandon).atexit = False
    return executor


def _disown_all() -> None:
    for executor in list(_executors.values()):  # the child has one thread, so none is added in between
        executor.disown()


in_child(_disown_all)
