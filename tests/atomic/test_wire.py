"""A transaction on a wire that breaks: its effect is never doubled."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError

from tests.atomic.garden import Garden
from tests.support.proxy import Proxy

LOST = r"The reply was lost: the command may have been executed, and was not sent again"


async def counted(garden: Garden) -> tuple[object, object]:
    """Two counters at one moment."""
    return await garden.atomic(garden.visits.get("gate", 0), garden.hour.get("gate", 0))


async def test_a_cut_reply_never_doubles_an_effect(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """Wherever its reply is cut, the transaction was executed once, as a whole, and the error leaves that open."""
    whole = len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n*1\r\n:1\r\n")
    for cut in range(whole):
        assert await counted(wire) == (cut, cut)
        proxy.cut_after(cut)

        with pytest.raises(ConnectionError, match=LOST) as caught:
            await wire.atomic(wire.visits.increment("gate"), wire.hour.increment("gate"))

        assert caught.value.__notes__ == ["purse: atomic() of RedisHash.increment, RedisHash.increment"]
        assert await counted(garden) == (cut + 1, cut + 1)


async def test_a_swallowed_reply_never_doubles_an_effect(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """The server executed the transaction and said so in vain: it is not sent again, though a part of it reads."""
    await counted(wire)
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match=LOST):
        await wire.atomic(wire.visits.get("gate"), wire.visits.increment("gate"), wire.hour.increment("gate"))

    assert await counted(garden) == await counted(wire) == (1, 1)


async def test_a_transaction_of_reads_is_sent_again(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """Wherever the reply is cut, reads get their values, those that renew a clock included."""
    await garden.visits.set("gate", 1)
    await garden.seen.set("gate", 2)
    whole = len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n*1\r\n$1\r\n2\r\n")
    for cut in range(whole):
        await wire.log.len()
        proxy.cut_after(cut)

        assert await wire.atomic(wire.visits.get("gate"), wire.seen.get("gate")) == (1, 2)


async def test_a_server_that_is_loading_is_waited_for(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """A server that answers LOADING has queued nothing: the transaction is sent again, and takes effect once."""
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    await wire.log.len()
    proxy.answer(b"+OK\r\n" + 2 * loading + b"-EXECABORT Transaction discarded because of: LOADING\r\n", times=3)

    assert await wire.atomic(wire.visits.increment("gate"), wire.hour.increment("gate")) == (1, 1)

    assert await counted(garden) == (1, 1)
