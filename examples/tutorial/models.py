"""Values with a type: models go in, models come out, and an invalid model is refused."""

import asyncio

from pydantic import BaseModel

from purse import EncodeError, RedisHash, Store


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool = True


class Tree(Plant):
    height: float


class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    beds: RedisHash[list[str], int]  # the value's type, then the key's


def grow(plant: Plant) -> Plant:
    return plant.model_copy(update={"healthiness": plant.healthiness + 1})


async def main() -> None:
    async with Garden.open("embedded://") as garden:
        await garden.plants.set("spinach", Plant(name="spinach", healthiness=9))
        await garden.beds.update({1: ["spinach", "leek"], 2: []})
        print(await garden.plants.get("spinach"))
        print(await garden.beds.dict())

        # Change a stored value, even if others change it at the same moment.
        print(await garden.plants.modify("spinach", grow))
        async with garden.plants.edit("spinach") as spinach:
            spinach.tasty = False
        print(await garden.plants.patch("spinach", healthiness=9.5))

        # A Plant would come back, without its height.
        try:
            await garden.plants.set("oak", Tree(name="oak", healthiness=7, height=20))
        except EncodeError as error:
            print("refused:", error)


asyncio.run(main())
