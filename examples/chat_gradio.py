"""A page of Gradio: pip install gradio, then python chat_gradio.py"""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from denizens import Agent, Memory, Persona, load_model
from denizens.agents import TextPiece

persona = Persona(name="Bo Lind", background="Bo Lind is the baker of a small town.")
bo = Agent(persona, model=load_model("smollm2"), memory=Memory("bo.db", "Bo Lind"))


def answer(message: str, history: list[Any], request: gr.Request) -> Iterator[str]:
    """The reply so far. Bo keeps the history, for each visitor apart."""
    text = ""
    for event in bo.stream(message, f"Visitor {request.session_hash}"):
        if isinstance(event, TextPiece):
            text += event.text
            yield text


demo = gr.ChatInterface(answer, title="Bo Lind")

if __name__ == "__main__":
    demo.launch()
