"""The thought behind an answer to a person."""

from __future__ import annotations

from ..core import (
    NONE,
    Action,
    AgentState,
    Call,
    Choice,
    Choose,
    Completion,
    Cue,
    Decision,
    Generate,
    Line,
    Observation,
    Persona,
    Recall,
    Recalled,
    Record,
    Seed,
    Situation,
    Thought,
    Time,
    ToolResult,
    ToolSpec,
    call,
    choose,
    generate,
    recall,
    tool_option,
)
from ..planners import Draft, as_speech, prompt

# Without this margin over "just answer" no tool is used: a wrong call costs more than none.
TOOL_MARGIN = 0.6
# What a line may be instead. Of 20 lines of small talk SmolLM2 took 2 for questions to the
# clock with one of these alone, and none with both.
TALK = (
    tool_option(
        "chat", "Talk about life, people and feelings. Greet, thank, comfort or say goodbye."
    ),
    NONE,
)


def replying(
    persona: Persona,
    state: AgentState,
    message: Line,
    session: tuple[Line, ...],
    tools: tuple[ToolSpec, ...],
    seed: Seed,
    private: bool = True,
) -> Thought[tuple[str, Decision]]:
    """Recall what bears on the line, use a tool where one fits, speak, and remember both
    lines. The decision's action is ``wait``: a chat moves nobody in a world.

    Only what is for everybody or for this person is recalled; with ``private`` both lines
    are remembered as for them."""
    situation = _alone(persona, state, tools, message.at, seed)
    draft = Draft(situation)
    cue = Cue(text=message.text, at=message.at, limit=8, rules="hybrid", person=message.who)
    answer = yield from recall(Recall(cue=cue))
    records: tuple[Record, ...] = ()
    if isinstance(answer, Recalled):
        records = tuple(hit.record for hit in answer.hits)
        draft.use(records)
    tool_said = yield from _use_tool(draft, message)
    said = yield from generate(
        Generate(
            messages=prompt(
                "reply",
                name=persona.name,
                first=persona.first_name,
                background=persona.background,
                traits=persona.traits or "friendly",
                person=message.who,
                memories=[as_speech(record.text, persona.name) for record in records],
                tool=tool_said,
                session=[f"{line.who}: {line.text}" for line in session[-12:]],
                line=message.text,
            ),
            max_tokens=96,
            temperature=0.6,
            top_p=0.9,
            seed=seed.child("reply").number,
            stop=("\n",),
            stream=True,
        )
    )
    if not isinstance(said, Completion):
        return f"(no answer: {said.detail})", draft.decide(Action("wait"))
    text = said.text.strip()
    circle = (message.who,) if private else ()
    # A name for the session, so that recall finds an answer by the question before it.
    begun = session[0].at if session else message.at
    episode = f"{message.who} and {persona.name}, {begun.isoformat()}"
    heard = f'{message.who} said to {persona.name}: "{message.text}"'
    said_here = f'{persona.name} said to {message.who}: "{text}"'
    draft.note("utterance", heard, who=message.who, audience=circle, episode=episode)
    draft.note("utterance", said_here, audience=circle, episode=episode)
    yield from draft.settle()
    return text, draft.decide(Action("wait"), f"{message.who} spoke to {persona.name}.")


def _use_tool(draft: Draft, message: Line) -> Thought[str]:
    """Choose a tool or none, fill its arguments, call it; what it said, or an empty text."""
    tools = draft.situation.tools
    if not tools:
        return ""
    offered = (tool_option(tool.name, tool.description, tool.parameters) for tool in tools)
    options = (*TALK, *offered)
    picked = yield from choose(
        Choose(
            messages=(),
            options=options,
            about=message.text,
            role="tool",
            seed=draft.situation.seed.child("tool").number,
        )
    )
    if not isinstance(picked, Choice) or picked.index < len(TALK):
        return ""
    if picked.probabilities[picked.index] < TOOL_MARGIN:
        return ""
    tool = tools[picked.index - len(TALK)]
    filled = yield from generate(
        Generate(
            messages=prompt("arguments", tool=tool.name, about=tool.description, line=message.text),
            max_tokens=96,
            temperature=0.0,
            schema=tool.parameters,
            role="arguments",
        )
    )
    if not isinstance(filled, Completion):
        return ""
    result = yield from call(Call(tool=tool.name, arguments=filled.data, why=message.text))
    if isinstance(result, ToolResult) and result.ok:
        return f"The {tool.name} says: {result.value}"
    return ""


def learning(
    persona: Persona,
    state: AgentState,
    texts: tuple[str, ...],
    now: Time,
    who: str = "",
    audience: tuple[str, ...] = (),
) -> Thought[Decision]:
    """Make memories of texts, rated and embedded, and do nothing else: thoughts of its own, or
    of what ``who`` said."""
    draft = Draft(_alone(persona, state, (), now, Seed.of(0).child(persona.name, "learning")))
    for text in texts:
        draft.note("utterance" if who else "thought", text, who=who, audience=audience)
    yield from draft.settle()
    return draft.decide(Action("wait"))


def _alone(
    persona: Persona, state: AgentState, tools: tuple[ToolSpec, ...], now: Time, seed: Seed
) -> Situation:
    """The situation of a mind that is in no world."""
    return Situation(
        persona=persona,
        state=state,
        seen=Observation(persona.name, now, ""),
        fresh=(),
        can=(),
        tools=tools,
        inputs=(),
        now=now,
        seed=seed,
    )
