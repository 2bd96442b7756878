"""Dialogue: one turn of a conversation, from what was heard to what is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from ...core import (
    NONE_OF_THESE,
    REDACTED_TEXT,
    Action,
    Call,
    Choice,
    Choose,
    Completion,
    Cue,
    Decision,
    Failed,
    Generate,
    Message,
    Option,
    Part,
    Persona,
    Recall,
    Recalled,
    Record,
    RecordId,
    Resolution,
    Situation,
    Thought,
    ToolSpec,
    Utterance,
    call,
    choose,
    format_utterance,
    generate,
    recall,
    tool_option,
)
from ..arguments import IncompleteCall, propose_call
from ..goals import ToolCallRecord
from ..steps import (
    MAX_LINE_CHARS,
    MAX_MEMORY_CHARS,
    StepBuilder,
    idle_action,
    remember_events,
    remember_lines,
    render_prompt,
)
from ..text import excerpt, to_first_person
from .intents import Intent, Understanding, understand
from .reply_selection import EMPTY_REPLY, ReplyContext, best_reply, reports_results, result_texts

# Characters of a line by which the memory is searched.
_MAX_CUE_CHARS = 1_500
# What an answer is to be, where it is not simply one.
_UNKNOWN = "{first} does not know the answer, and says so."
_HAND_OVER = "{first} cannot help with this, and says that somebody else will."
_WHOLE_NAME = re.compile(r"\b[^\W\d_a-z]\w+ [^\W\d_a-z]\w+\b")

# What a line may be instead. Of 20 lines of small talk SmolLM2 took 2 for questions to the
# clock with one of these alone, and none with both.
TALK_OPTIONS = (
    tool_option(
        "chat", "Talk about life, people and feelings. Greet, thank, comfort or say goodbye."
    ),
    NONE_OF_THESE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueReply:
    """What is said in a turn, and what it rests on: memories, calls of tools, the
    probability that the memory holds what was asked (None: not estimated). Where nothing could
    be said the text is empty, ``resolve`` is ``failed`` and ``failure`` says why."""

    text: str
    resolve: Resolution = "answer"
    cited: tuple[RecordId, ...] = ()
    calls: tuple[ToolCallRecord, ...] = ()
    understood: Understanding = field(default_factory=Understanding)
    held: float | None = None
    failure: Failed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueInput:
    """A line to answer, and the lines before it. ``private``: what is said stays between the
    two; ``stream``: the answer may be given piece by piece as it is made."""

    line: Utterance
    before: tuple[Utterance, ...] = ()
    private: bool = True
    stream: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Understands, recalls, decides, speaks, and says what the answer rests on.

    ``intents`` are what people come with; with some, each line is understood first: details
    that its intent requires are asked for, its tool is called with them, and one of
    ``hand_over`` is not answered but handed over, with ``handing`` as the words for it.
    Without, a tool is used where one is clearly meant: ``margin`` is the least probability,
    since a wrong call costs more than none. Below ``unknown`` as the probability that the
    memory holds what was asked, the answer is to be that one does not know. With ``cite`` the
    memories that the answer rests on are chosen among those recalled, at one ask more; else
    all that were shown are named.

    Of ``drafts`` written side by side the one is said that fits the line best by likelihood;
    those that say again what was said, recite the prompt, begin in the middle of a sentence or
    speak for somebody else are thrown away. With 1 the only draft is streamed as it is made,
    and nothing is taken back. ``borne`` is the share of the words of an answer that must stand
    in the line or in what a tool gave, where one was called; an answer that leaves out or
    contradicts the result is not given: the result is (0: off, for models that do neither).
    """

    intents: tuple[Intent, ...] = ()
    hand_over: tuple[str, ...] = ()
    handing: str = ""
    margin: float = 0.6
    unknown: float = 0.0
    cite: bool = False
    recalled: int = 8
    shown: int = 12
    drafts: int = 3
    borne: float = 0.4
    reads_state: ClassVar[bool] = False
    """Plans and drafts are not shown to it: whose words these rest on is then nothing to a chat."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """In a conversation answer when one has the floor; else go on or wait."""
        builder = StepBuilder(situation)
        remember_events(builder)
        talk, me = situation.seen.talk, situation.persona.name
        action = idle_action(situation.can)
        if talk is not None:
            remember_lines(builder, talk)
            others = ((place, line) for place, line in enumerate(talk.lines) if line.who != me)
            places = [place for place, line in others if line.text != REDACTED_TEXT]
            free = any(can.verb == "say" for can in situation.can)
            if not talk.ended and talk.floor == me and free and places:
                line, before = talk.lines[places[-1]], talk.lines[: places[-1]]
                said = yield from self.turn(
                    builder, DialogueInput(line=line, before=before, stream=False)
                )
                if said.text:
                    action = Action("say", "", {"text": said.text})
                    builder.add_record("utterance", format_utterance(me, line.who, said.text))
        yield from builder.finalize()
        return builder.build(action)

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Answer a person's line in a chat, and remember both lines. The decision's action is
        ``wait``: a chat moves nobody in a world."""
        builder = StepBuilder(situation)
        said = yield from self.turn(builder, heard)
        name, line = situation.persona.name, heard.line
        circle = (line.who,) if heard.private else ()
        # A name for the session, so that recall finds an answer by the question before it.
        begun = heard.before[0].at if heard.before else line.at
        episode = f"{line.who} and {name}, {begun.isoformat()}"
        asked = format_utterance(line.who, name, line.text)
        # What was said is remembered, though there may be no answer to it.
        builder.add_record(
            "utterance", asked, who=line.who, audience=circle, episode=episode, rests_on=(line,)
        )
        if said.text:
            told = format_utterance(name, line.who, said.text)
            builder.add_record("utterance", told, audience=circle, episode=episode)
        yield from builder.finalize()
        return said, builder.build(Action("wait"), f"{line.who} spoke to {name}.")

    def turn(self, builder: StepBuilder, heard: DialogueInput) -> Thought[DialogueReply]:
        """What to say to a line, without remembering it. Only what is for everybody or for
        that person is recalled."""
        line = heard.line
        cue = Cue(
            text=line.text[:_MAX_CUE_CHARS],
            at=line.at,
            limit=self.recalled,
            rules="hybrid",
            person=line.who,
        )
        answer = yield from recall(Recall(cue=cue))
        records: tuple[Record, ...] = ()
        held: float | None = None
        if isinstance(answer, Recalled):
            records, held = tuple(hit.record for hit in answer.hits), answer.held
            builder.mark_used(records)
        understood = yield from self._understand(builder, heard)
        resolve: Resolution = "answer"
        calls: tuple[ToolCallRecord, ...] = ()
        asked = ""
        if understood.intent.name in self.hand_over and understood.intent.name:
            resolve = "hand_over"
        elif understood.missing:
            resolve = "ask"
        else:
            called = yield from self._use_tool(builder, line, understood)
            if isinstance(called, IncompleteCall):
                resolve, asked = "ask", called.question
            else:
                calls = called
            known = bool(asked) or any(one.ok for one in calls)
            if held is not None and held < self.unknown and not known:
                resolve = "unknown"
        if resolve == "hand_over" and self.handing:
            text = self.handing
        elif asked:
            text = asked
        else:
            first = builder.situation.persona.first_name
            steer = self._instruction(first, resolve, understood)
            tool = " ".join(filter(None, (_results_text(calls), steer)))
            shown = () if resolve == "unknown" else records
            said = yield from self._speak(builder, heard, shown, calls, tool)
            if isinstance(said, Failed):
                return DialogueReply(
                    text="", resolve="failed", calls=calls, held=held, failure=said
                )
            text = said
        rests: tuple[RecordId, ...] = ()
        if resolve == "answer":
            rests = yield from self._choose_citations(builder, text, records)
        builder.explain(f"Decided to {resolve.replace('_', ' ')}." if resolve != "answer" else "")
        return DialogueReply(
            text=text, resolve=resolve, cited=rests, calls=calls, understood=understood, held=held
        )

    def _understand(self, builder: StepBuilder, heard: DialogueInput) -> Thought[Understanding]:
        if not self.intents:
            return Understanding()
        before = "\n".join(line.text for line in heard.before[-4:])
        seed = builder.situation.seed.child("understand")
        return (
            yield from understand(
                heard.line.text, seed=seed, intents=self.intents, context=before, now=heard.line.at
            )
        )

    def _use_tool(
        self, builder: StepBuilder, line: Utterance, understood: Understanding
    ) -> Thought[tuple[ToolCallRecord, ...] | IncompleteCall]:
        """Call the tool that the intent names, or one that is clearly meant."""
        tools = builder.situation.tools
        named = next((one.tool for one in self.intents if one.name == understood.intent.name), "")
        spec = next((one for one in tools if named and one.name == named), None)
        if spec is not None:
            return (yield from _call_tool(spec, understood.slots, line))
        if not tools or self.intents:
            return ()
        drafted = yield from propose_call(
            line.text,
            tools,
            seed=builder.situation.seed.child("tool"),
            others=TALK_OPTIONS,
            none=False,
            margin=self.margin,
            now=line.at,
        )
        if drafted is None:
            return ()
        if isinstance(drafted, IncompleteCall):
            return drafted
        return (yield from _call_tool(drafted.tool, drafted.arguments, line))

    def _speak(
        self,
        builder: StepBuilder,
        heard: DialogueInput,
        records: Sequence[Record],
        calls: Sequence[ToolCallRecord],
        tool: str,
    ) -> Thought[str | Failed]:
        """What to say, by what was decided: ``tool`` is told to the model as the last thing."""
        persona = builder.situation.persona
        seed = builder.situation.seed.child("reply")
        ask = self._reply_request(builder, heard, records, tool)
        frame = ReplyContext(
            name=persona.name,
            person=heard.line.who,
            line=heard.line.text,
            own_lines=tuple(line.text for line in heard.before if line.who == persona.name),
            prompt_sentences=_prompt_sentences(persona, heard.line.who),
            calls=tuple(calls),
            others=_names_in(persona, records),
        )
        if self.drafts <= 1 and heard.stream:
            answer = yield from generate(replace(ask, seed=seed.number))
            if not isinstance(answer, Completion):
                return "; ".join(result_texts(calls)) or answer
            text = answer.text.strip()
            if self.borne and not reports_results(text, frame, self.borne):
                # What was streamed cannot be taken back, so the result is added.
                text = f"{text} ({'; '.join(result_texts(calls))})".strip()
            return text or EMPTY_REPLY
        # A tiny model repeats what it sees of itself; without that it says something else.
        others = tuple(line for line in heard.before if line.who != persona.name)
        fresh = [record for record in records if record.who != persona.name or not record.episode]
        again = self._reply_request(builder, replace(heard, before=others), fresh, tool)
        asks = (ask, replace(again, temperature=0.8))
        return (
            yield from best_reply(
                builder, asks, frame, count=max(1, self.drafts), seed=seed, borne=self.borne
            )
        )

    def _reply_request(
        self, builder: StepBuilder, heard: DialogueInput, records: Sequence[Record], tool: str
    ) -> Generate:
        """The prompt of what to say."""
        persona, line = builder.situation.persona, heard.line
        lines = heard.before[-self.shown :]
        # What stands in the talk as it is shown need not be remembered beside it.
        there = {one.text for one in lines}
        known = [
            to_first_person(excerpt(record.text, line.text, MAX_MEMORY_CHARS), persona.name)
            for record in records
            if _quoted_words(record) not in there
        ]
        system, user = render_prompt(
            "reply",
            name=persona.name,
            first=persona.first_name,
            background=persona.background,
            traits=persona.traits or "friendly",
            person=line.who,
            memories=["You remember:", *known] if known else [],
            tool=tool,
            line=line.text,
        )
        return Generate(
            messages=(system, *_chat_turns(lines, line, persona.name), user),
            max_tokens=72,
            temperature=0.6,
            top_p=0.9,
            stop=("\n",),
            stream=heard.stream,
        )

    def _instruction(self, first: str, resolve: Resolution, understood: Understanding) -> str:
        """What the answer is to be, where it is not simply one."""
        if resolve == "unknown":
            return _UNKNOWN.format(first=first)
        if resolve == "hand_over":
            return _HAND_OVER.format(first=first)
        if resolve == "ask":
            meant = next(one for one in self.intents if one.name == understood.intent.name)
            fields = meant.slots.get("properties", {})
            told = [
                str(fields.get(name, {}).get("description") or name.replace("_", " "))
                for name in understood.missing
            ]
            return f"{first} does not know yet, and asks: {', '.join(told)}?"
        return ""

    def _choose_citations(
        self, builder: StepBuilder, text: str, records: tuple[Record, ...]
    ) -> Thought[tuple[RecordId, ...]]:
        """The memories that an answer rests on."""
        if not self.cite or not records or not text:
            return tuple(record.id for record in records)
        texts = {record.text: record.id for record in records}
        picked = yield from choose(
            Choose(
                messages=(),
                options=(*(Option(one) for one in texts), NONE_OF_THESE),
                about=text,
                role="evidence",
                seed=builder.situation.seed.child("cite").number,
            )
        )
        if not isinstance(picked, Choice):
            return ()
        least = picked.probabilities[-1]
        pairs = zip(texts.values(), picked.probabilities)
        return tuple(number for number, p in pairs if p > least)


def _call_tool(
    spec: ToolSpec, arguments: object, line: Utterance
) -> Thought[tuple[ToolCallRecord, ...]]:
    result = yield from call(Call(tool=spec.name, arguments=arguments, why=line.text))
    return (ToolCallRecord.from_answer(spec.name, arguments, result),)


def _results_text(calls: Sequence[ToolCallRecord]) -> str:
    return " ".join(
        f"The {one.tool} says: {one.text}"
        if one.ok
        else f"The {one.tool} did not work, and nothing was done."
        for one in calls
    )


def _chat_turns(lines: Sequence[Utterance], line: Utterance, me: str) -> list[Message]:
    """The lines before a line as turns of a chat; of several others each under its name."""
    others = {one.who for one in (*lines, line)} - {me}
    turns: list[Message] = []
    for place, one in enumerate(lines):
        role: Literal["user", "assistant"] = "assistant" if one.who == me else "user"
        text = excerpt(one.text, line.text, MAX_LINE_CHARS)
        named = f"{one.who}: {text}" if role == "user" and len(others) > 1 else text
        # Of a talk the oldest lines give way first.
        part = Part(named, len(lines) - place)
        if turns and turns[-1].role == role:
            turns[-1] = Message(role, (*turns[-1].parts, part))
        else:
            turns.append(Message(role, (part,)))
    return turns


def _names_in(persona: Persona, records: Sequence[Record]) -> tuple[str, ...]:
    """Whose names a prompt shows: who said what is remembered, and whole names in its texts."""
    shown = (persona.background, persona.currently, *(record.text for record in records))
    whole = (name for text in shown for name in _WHOLE_NAME.findall(text[:_MAX_CUE_CHARS]))
    names = dict.fromkeys((*(record.who for record in records), *whole))
    return tuple(name for name in names if name and name != persona.name)


def _quoted_words(record: Record) -> str:
    """The words that a memory of an utterance holds, or what no line is."""
    found = re.fullmatch(r'[^"]+? said to [^"]+?: "(.*)"', record.text, re.DOTALL)
    return found[1] if found and record.kind == "utterance" else "\n"


def _prompt_sentences(persona: Persona, person: str) -> tuple[str, ...]:
    """The sentences of the prompt that are neither memories nor lines."""
    first = persona.first_name
    return (
        f"You are {persona.name}.",
        f"You are {persona.traits or 'friendly'}.",
        f"You talk with {person}.",
        f"Answer as {first}, in one or two short sentences.",
        _UNKNOWN.format(first=first),
        _HAND_OVER.format(first=first),
    )
