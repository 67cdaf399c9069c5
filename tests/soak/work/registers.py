"""Keys that one task writes and many read: each reply belongs to its own call, and a mapping is written as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from purse import RedisHash, RedisKeySpace
from tests.soak.calls import Caller, Done
from tests.soak.checks.register import Register
from tests.soak.work.job import Job, Round, Worker

__all__ = ["Registers", "Sheets", "jobs"]

_TASKS = 8


class Record(BaseModel):
    """A value that says where it belongs."""

    key: str
    stamp: str


def jobs(this_round: Round) -> Iterable[Job]:
    """One for each structure that has keys, and the mapping."""
    return [Registers(this_round, "record hash"), Registers(this_round, "record key space"), Sheets(this_round)]


class Registers(Job):
    """Each task has a key of its own, and looks at those of the others.

    Args:
        this_round: what it shares with the others.
        name: the structure.
    """

    def __init__(self, this_round: Round, name: str) -> None:
        super().__init__(this_round)
        self._name = name
        self._checks = {f"k{number}": Register(name, f"k{number}", this_round.journal) for number in range(_TASKS)}

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._work(number) for number in range(_TASKS)]

    async def judge(self) -> None:
        """See ``Job``."""
        caller = self.round.caller(f"{self._name} judge")
        for number, (key, check) in enumerate(self._checks.items()):
            await self._read(caller, self._records(number), key, check, steady=True)

    async def _work(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} {number}")
        records = self._records(number)
        key = f"k{number}"
        check = self._checks[key]
        while self.round.going:
            match caller.rng.randrange(6):
                case 0 | 1:
                    stamp = caller.fresh()
                    record = Record(key=key, stamp=stamp)
                    check.wrote(stamp, await caller.call(self._name, f"set {key} {stamp}", records.set(key, record)))
                case 2:
                    check.wrote(None, await caller.call(self._name, f"delete {key}", records.delete(key)))
                case 3:
                    await self._look_around(caller, records)
                case _:
                    await self._read(caller, records, key, check)
            await self.pause(caller)

    async def _read(
        self,
        caller: Caller,
        records: RedisHash[Record] | RedisKeySpace[Record],
        key: str,
        check: Register,
        *,
        steady: bool = False,
    ) -> None:
        outcome = await caller.call(self._name, f"get {key}", records.get(key), steady=steady)
        if isinstance(outcome, Done):
            if outcome.value is not None:
                self._belongs(key, outcome.value)
            stamp = outcome.value.stamp if outcome.value else None
            check.read(Done(stamp, outcome.began, outcome.ended))

    async def _look_around(self, caller: Caller, records: RedisHash[Record] | RedisKeySpace[Record]) -> None:
        keys = caller.rng.sample([*self._checks], 3)
        outcome = await caller.call(self._name, f"get_many {keys}", records.get_many(keys))
        if isinstance(outcome, Done):
            for key, record in outcome.value.items():
                self._belongs(key, record)

    def _belongs(self, key: str, record: Record) -> None:
        if record.key != key:
            self.round.journal.find(self._name, f"under {key} there is {record!r}: the answer of another call", key)

    def _records(self, number: int) -> RedisHash[Record] | RedisKeySpace[Record]:
        client, key = self.clients[number % len(self.clients)], self.round.key(self._name)
        return RedisHash(client, key, Record) if "hash" in self._name else RedisKeySpace(client, f"{key}:", Record)


class Sheets(Job):
    """A mapping of five fields that is only ever written as a whole is only ever seen as a whole."""

    _name = "sheet"
    _fields = ("a", "b", "c", "d", "e")

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._work(number) for number in range(6)]

    async def judge(self) -> None:
        """See ``Job``."""
        await self._look(self.round.caller("sheet judge"), self._sheet(0), steady=True)

    async def _work(self, number: int) -> None:
        caller = self.round.caller(f"sheet {number}")
        sheet = self._sheet(number)
        while self.round.going:
            if caller.rng.random() < 0.5:
                stamp = caller.fresh()
                await caller.call(self._name, f"update {stamp}", sheet.update(dict.fromkeys(self._fields, stamp)))
            else:
                await self._look(caller, sheet)
            await self.pause(caller)

    async def _look(self, caller: Caller, sheet: RedisHash[str], *, steady: bool = False) -> None:
        outcome = await caller.call(self._name, "dict", sheet.dict(), steady=steady)
        if isinstance(outcome, Done) and (len({*outcome.value.values()}) > 1 or len(outcome.value) not in (0, 5)):
            self.round.journal.find(self._name, f"half of an update was seen: {outcome.value}")

    def _sheet(self, number: int) -> RedisHash[str]:
        return RedisHash(self.clients[number % len(self.clients)], self.round.key(self._name), str)
