"""A FastAPI route that streams an agent's reply as server-sent events: uvicorn chat_fastapi:app"""

import json
from collections.abc import AsyncIterator

from denizens import Agent, Memory, Persona, load_model
from denizens.agents import ReplyEnd, TextPiece
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
persona = Persona(name="Bo Lind", background="Bo Lind is the baker of a small town.")
bo = Agent(persona, model=load_model("smollm2"), memory=Memory("bo.db", "Bo Lind"))


@app.post("/chat/{person}")
async def chat(person: str, text: str) -> StreamingResponse:
    """The reply; a client that disconnects cancels it."""

    async def events() -> AsyncIterator[str]:
        async for event in bo.astream(text, person):
            if isinstance(event, TextPiece):
                yield f"data: {json.dumps({'text': event.text})}\n\n"
            elif isinstance(event, ReplyEnd):
                yield f"data: {json.dumps({'why': event.why.text})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
