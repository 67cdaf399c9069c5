"""Makes things go wrong, as planned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.exceptions import ConnectionError

from tests.soak.journal import EVERYWHERE, Breaks, Journal
from tests.soak.plan import Fault
from tests.soak.scene import Scene
from tests.support.clients import command

__all__ = ["inflict"]

_AFTERWARDS = 0.1  # seconds in which a break is still noticed


async def inflict(faults: Sequence[Fault], scene: Scene, breaks: Breaks, journal: Journal) -> None:
    """All faults of a round, at their times; everything works when it returns."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for fault in faults:
        await asyncio.sleep(max(0.0, began + fault.at - loop.time()))
        journal.count(f"fault: {fault.kind}")
        journal.note(EVERYWHERE, f"{fault.kind} begins, for {fault.seconds:.3f} s")
        started = loop.time()
        breaking = await _inflict(fault, scene)
        if breaking:
            breaks.add(started, loop.time() + _AFTERWARDS)
        journal.note(EVERYWHERE, f"{fault.kind} ends")


async def _inflict(fault: Fault, scene: Scene) -> bool:
    """One fault; whether it breaks connections of the main server."""
    match fault.kind:
        case "script flush":
            await _control(scene, "SCRIPT", "FLUSH")
        case "oom":
            await _control(scene, "CONFIG", "SET", "maxmemory", "1")
            await asyncio.sleep(fault.seconds)
            await _control(scene, "CONFIG", "SET", "maxmemory", "0")
        case "client pause":
            await _control(scene, "CLIENT", "PAUSE", round(fault.seconds * 1000))
            await asyncio.sleep(fault.seconds)
        case "stop" | "long stop":
            with scene.main.paused(0):
                await asyncio.sleep(fault.seconds)
            return fault.kind == "long stop"
        case "delay":
            scene.proxy.delay(fault.seconds / 10)
            await asyncio.sleep(fault.seconds)
            scene.proxy.delay(0)
        case "master stop":
            with scene.masters.paused(fault.amount % len(scene.masters.servers)):
                await asyncio.sleep(fault.seconds)
        case "master kill":
            server = scene.masters.servers[fault.amount % len(scene.masters.servers)]
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(server.start)
        case "kill":
            await asyncio.to_thread(scene.server.kill)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(scene.server.start)
            return True
        case "client kill":
            await _control(scene, "CLIENT", "KILL", "TYPE", "normal")
            return True
        case "cut":
            scene.proxy.cut_after(fault.amount)
            await asyncio.sleep(fault.seconds)
            scene.proxy.heal()
            return True
        case "swallow":
            # Replies that are missing in the middle would be no TCP: the connections end before others come through.
            scene.proxy.swallow()
            await asyncio.sleep(fault.seconds)
            scene.proxy.drop()
            await asyncio.sleep(0.01)
            scene.proxy.heal()
            return True
    return False


async def _control(scene: Scene, *words: str | int) -> None:
    """A command of the one who causes faults, whose own connection was lost with a server that was killed."""
    try:
        await command(scene.control, *words)
    except ConnectionError:
        await command(scene.control, *words)
