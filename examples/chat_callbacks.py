"""A bot of callbacks, as libraries for Discord have them: one coroutine for each message."""

import asyncio
from typing import Any

from denizens import Agent, Memory, Persona, load_model

persona = Persona(name="Bo Lind", background="Bo Lind is the baker of a small town.")
bo = Agent(persona, model=load_model("smollm2"), memory=Memory("bo.db", "Bo Lind"))


async def on_message(message: Any) -> None:
    """Called for each message; those of several people are answered at once."""
    if message.author.bot:
        return
    async with message.channel.typing():
        reply = await bo.achat(message.content, message.author.name)
    if reply.text:
        await message.channel.send(reply.text)


async def serve(messages: "asyncio.Queue[Any]") -> None:
    """The loop of such a library: it does not wait for one answer before the next message."""
    async with asyncio.TaskGroup() as tasks:
        while (message := await messages.get()) is not None:
            tasks.create_task(on_message(message))
