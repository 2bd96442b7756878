"""Dialogue: one turn of a conversation, from a person's line to the reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from ...core import (
    NONE_OF_THESE,
    REDACTED_TEXT,
    Action,
    AgentId,
    Call,
    Choice,
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
    Seed,
    Situation,
    Thought,
    ToolSpec,
    Utterance,
    call,
    format_utterance,
    generate,
    recall,
    time_zone,
    tool_option,
)
from ..arguments import (
    IncompleteCall,
    ProposedCall,
    call_question,
    fill_arguments,
    propose_call,
)
from ..goals import ToolCallRecord
from ..speech import DraftContext, Speaker, SpokenLine, speaking_voice, speech_messages
from ..steps import (
    MAX_LINE_CHARS,
    StepBuilder,
    choose_among,
    idle_action,
    remember_events,
    remember_lines,
)
from ..text import excerpt
from .intents import Intent, Understanding, is_stated, understand
from .known_sentences import (
    YES_NO_SHARE,
    bears_on,
    fit_sentences,
    known_answer,
    persona_sentences,
)
from .questions import asked_question
from .reply_rules import HANDED_OVER, NOT_KNOWN, ReplyBasis, says_unknown, with_rules
from .reply_selection import (
    EMPTY_REPLY,
    MAX_SENTENCES,
    ReplyContext,
    best_reply,
    failure_text,
    reports_results,
    result_texts,
)

_MAX_CUE_CHARS = 1_500  # of a line as the cue of a recall
_KNOWN_MARGIN = 0.75  # lowest probability of a tool where persona or memory has the answer
_CERTAIN = 0.95  # probability of a tool that is asked for though memory has an answer
MAX_NOTES = 2  # memories that the note of a prompt has
_TOKENS_PER_SENTENCE = 20  # of a reply whose length is said in tokens
_NOBODY = "user"  # the person of a chat that names none
_ORDER = re.compile(r"\b(?:can|could|will|would|may) (?:you|I have)\b|\bplease\b", re.IGNORECASE)
_WHOLE_NAME = re.compile(r"\b[^\W\d_a-z]\w+ [^\W\d_a-z]\w+\b")

# Alternatives to a tool call. Of 20 lines of small talk SmolLM2 called the clock for 2 with one of
# these options, and for none with both.
TALK_OPTIONS = (
    tool_option(
        "chat", "Talk about life, people and feelings. Greet, thank, comfort or say goodbye."
    ),
    NONE_OF_THESE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueReply:
    """The reply of a turn with its basis: cited records, tool calls, the records that answer a
    question (``based_on``), and ``held``, the probability that memory contains the answer
    (None: not estimated). If there is no reply, the text is
    empty, ``resolve`` is "failed" and ``failure`` has the reason."""

    text: str
    resolve: Resolution = "answer"
    cited: tuple[RecordId, ...] = ()
    calls: tuple[ToolCallRecord, ...] = ()
    understood: Understanding = field(default_factory=Understanding)
    held: float | None = None
    failure: Failed | None = None
    based_on: tuple[RecordId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyStyle:
    """How a reply is written; None and empty: as the dialogue has it. ``max_tokens`` and
    ``sentences`` bound it, ``manner`` is an instruction in the prompt, ``window`` the number of
    earlier lines in the prompt."""

    max_tokens: int | None = None
    sentences: int | None = None
    temperature: float | None = None
    manner: str = ""
    drafts: int | None = None
    window: int | None = None

    @property
    def most_sentences(self) -> int | None:
        """The number of sentences that a reply may have: what so many tokens have room for, if it
        is not said."""
        if self.sentences is None and self.max_tokens:
            return max(MAX_SENTENCES, self.max_tokens // _TOKENS_PER_SENTENCE)
        return self.sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueInput:
    """A line to answer, and the lines before it. ``private``: the records of the turn are for the
    two speakers only; ``stream``: the reply may be streamed.

    ``summary`` stands for lines before ``before``. ``episode`` names the session in the records
    (empty: by its first line); ``is_recorded``: the line has its record already. ``zone`` is the
    time zone of the speaker (empty: that of the line's time). ``show`` is called with the text of
    the reply as soon as it is chosen, and returns the text that the person was shown of it."""

    line: Utterance
    before: tuple[Utterance, ...] = ()
    private: bool = True
    stream: bool = True
    style: ReplyStyle = field(default_factory=ReplyStyle)
    summary: str = ""
    episode: str = ""
    is_recorded: bool = False
    zone: str = ""
    show: Callable[[str], str] = str

    @property
    def now(self) -> datetime:
        """The time by which "tonight" is meant: with the time zone of the speaker, if known."""
        zone = time_zone(self.zone)
        return self.line.at if zone is None else self.line.at.astimezone(zone)

    def episode_of(self, name: AgentId) -> str:
        """The episode of the records of the turn: all lines of a session share one, so that a
        question recalls its answer."""
        start = self.before[0].at if self.before else self.line.at
        return self.episode or f"{self.line.who} and {name}, {start.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Understands a line, recalls records, calls a tool if needed, replies, and cites its basis.

    ``intents``: with intents, each line is classified first; missing slots are asked for, the tool
    of the intent is called, and intents in ``hand_over`` are handed over with the text
    ``handing``. Without intents a tool is called if its probability is at least ``margin``, since
    a wrong call costs more than none. ``unknown``: if the line asks for a fact (in English) that
    no sentence of the persona and of the recalled records answers, and the probability that memory
    contains the answer is lower, the reply is that the agent does not know. 0: never, and drafts
    are not checked against what the agent knows, for a model with knowledge of its own.
    ``known_only``: every question but small talk is answered from persona, memory and tools, or
    with not knowing: also one for yes or no ("Do you sell bicycles?"), which a person in a town
    may answer as it likes; and results of tools are told as they are. For an agent that must not
    make anything up.
    ``cite``: the cited records are
    chosen by one more ask; else all recalled ones are cited. ``recalled``: records per recall;
    ``shown``: earlier lines in the prompt.

    ``drafts``: of so many parallel drafts the one that fits the line best by likelihood is
    chosen; with 1 the draft is streamed uncorrected. ``borne``: the share of a reply's words that
    must occur in the line or in the results of a tool call; a reply that omits or contradicts the
    results is replaced by them (0: no check).
    """

    intents: tuple[Intent, ...] = ()
    hand_over: tuple[str, ...] = ()
    handing: str = ""
    margin: float = 0.6
    unknown: float = 0.1
    known_only: bool = False
    cite: bool = False
    recalled: int = 8
    shown: int = 12
    drafts: int = 4
    borne: float = 0.4
    reads_state: ClassVar[bool] = False
    """Plans and drafts in the state are withheld: a chat must not depend on their sources."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Answer in a conversation when the agent has the floor; else continue or wait."""
        builder = StepBuilder(situation)
        remember_events(builder)
        talk, me = situation.seen.talk, situation.persona.name
        action = idle_action(situation.can)
        if talk is not None:
            remember_lines(builder, talk)
            visible = [
                index
                for index, line in enumerate(talk.lines)
                if line.who != me and line.text != REDACTED_TEXT
            ]
            may_speak = any(affordance.verb == "say" for affordance in situation.can)
            if not talk.ended and talk.floor == me and may_speak and visible:
                line, before = talk.lines[visible[-1]], talk.lines[: visible[-1]]
                heard = DialogueInput(line=line, before=before, stream=False)
                reply = yield from self.turn(builder, heard)
                if reply.text:
                    action = Action("say", "", {"text": reply.text})
                    builder.add_record("utterance", format_utterance(me, line.who, reply.text))
        yield from builder.finalize()
        return builder.build(action)

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Answer a person's line in a chat, and record the line and the reply. The action of the
        decision is ``wait``."""
        builder = StepBuilder(situation)
        reply = yield from self.turn(builder, heard)
        if reply.text:
            # Shown before its records are rated and embedded.
            reply = replace(reply, text=heard.show(reply.text))
        add_turn_records(builder, heard, reply.text)
        yield from builder.finalize()
        why = f"{heard.line.who} spoke to {builder.situation.persona.name}."
        return reply, builder.build(Action("wait"), why)

    def _cue(self, heard: DialogueInput) -> Cue:
        line = heard.line
        text = line.text[:_MAX_CUE_CHARS]
        return Cue(
            text=text,
            at=line.at,
            limit=self.recalled,
            rules="hybrid",
            person=line.who,
            zone=heard.zone,
        )

    def turn(self, builder: StepBuilder, heard: DialogueInput) -> Thought[DialogueReply]:
        """The reply to a line, without recording it. Only records that the person may see are
        recalled."""
        answer = yield from recall(Recall(cue=self._cue(heard)))
        records: tuple[Record, ...] = ()
        held: float | None = None
        if isinstance(answer, Recalled):
            records, held = tuple(hit.record for hit in answer.hits), answer.held
            builder.mark_used(records)
        understood = yield from self._understand(builder, heard)
        resolve: Resolution = "answer"
        calls: tuple[ToolCallRecord, ...] = ()
        basis, text = ReplyBasis(), ""
        if understood.intent.name in self.hand_over and understood.intent.name:
            resolve, text = "hand_over", self.handing
        elif understood.missing:
            resolve = "ask"
        else:
            basis = yield from self._basis(builder, heard, records)
            called = yield from self._use_tool(builder, heard, understood, bool(basis.answer))
            if isinstance(called, IncompleteCall):
                resolve, text = "ask", called.question
            else:
                calls = called
            if any(record.ok for record in calls):
                basis = ReplyBasis()
                # A small model tells a long result in words of its own, and some of them wrong.
                text = "; ".join(result_texts(calls)) if self.known_only else ""
            elif calls:
                basis, text = ReplyBasis(), "; ".join(map(failure_text, calls))
            elif not text and self._is_unknown(basis, records, held):
                resolve = "unknown"
        if not text:
            basis = self._instructed(basis, resolve, understood, calls)
            shown = () if resolve == "unknown" else records
            spoken = yield from self._speak(builder, heard, shown, calls, basis)
            if isinstance(spoken, Failed):
                return DialogueReply(
                    text="", resolve="failed", calls=calls, held=held, failure=spoken
                )
            text = spoken
        wants_fact = basis.question is not None and basis.question.wants_fact
        if resolve == "answer" and self.unknown and wants_fact and not basis.answer:
            resolve = "unknown" if says_unknown(text) else resolve
        cited: tuple[RecordId, ...] = ()
        if resolve == "answer":
            cited = yield from self._choose_citations(builder, text, records)
        builder.explain(f"Decided to {resolve.replace('_', ' ')}." if resolve != "answer" else "")
        return DialogueReply(
            text=text,
            resolve=resolve,
            cited=cited,
            calls=calls,
            understood=understood,
            held=held,
            based_on=basis.records,
        )

    def _basis(
        self, builder: StepBuilder, heard: DialogueInput, records: Sequence[Record]
    ) -> Thought[ReplyBasis]:
        """What persona and memory have on a line: its answer, else what bears on it."""
        persona, line = builder.situation.persona, heard.line
        question = asked_question(line.text)
        # The prompt shows the last lines anyway: of their records only what the asker told is
        # looked at, which may answer a question, and none stands in the note of the prompt.
        window = heard.style.window or self.shown
        shown = {earlier.text for earlier in heard.before[-window:]}
        lately = {record.id for record in records if _quoted_words(record) in shown}
        fresh = [
            record
            for record in records
            if _quoted_words(record) != line.text
            and (record.id not in lately or (question is not None and record.who == line.who))
        ]
        fitted = yield from fit_sentences(persona, fresh, line, heard.before)
        told = [earlier.text for earlier in heard.before[-4:] if earlier.who == persona.name]
        answers = known_answer(persona, fitted, question, told, line.who)
        answer = " ".join(one.text for one in answers)
        noted = [one for one in fitted if one.record is None or one.record.id not in lately]
        memories = [answer] if answer else [one.text for one in noted if bears_on(one)]
        return ReplyBasis(
            question=question,
            answer=answer,
            quoted=any(one.is_quotation for one in answers),
            of_document=any(one.record and one.record.kind == "document" for one in answers),
            says_yes=all(one.share >= YES_NO_SHARE for one in answers if one.is_passage),
            memories=tuple(memories[:MAX_NOTES]),
            records=tuple(dict.fromkeys(one.record.id for one in answers if one.record)),
            searched=bool(records),
            known_only=self.known_only,
        )

    def _is_unknown(self, basis: ReplyBasis, records: Sequence[Record], held: float | None) -> bool:
        """Whether the line asks for a fact that neither persona nor memory has."""
        if self.known_only and basis.question is not None and not basis.answer:
            return basis.question.kind != "talk"
        if held is None or held >= self.unknown or basis.answer or not records:
            return False
        return basis.question is not None and basis.question.wants_fact

    def _understand(self, builder: StepBuilder, heard: DialogueInput) -> Thought[Understanding]:
        if not self.intents:
            return Understanding()
        before = "\n".join(line.text for line in heard.before[-4:])
        seed = builder.situation.seed.child("understand")
        return (
            yield from understand(
                heard.line.text, seed=seed, intents=self.intents, context=before, now=heard.now
            )
        )

    def _use_tool(
        self, builder: StepBuilder, heard: DialogueInput, understood: Understanding, known: bool
    ) -> Thought[tuple[ToolCallRecord, ...] | IncompleteCall]:
        """Call the tool of the intent; without intents the tool that the line means, if any.
        ``known``: persona or memory has the answer, so a tool must be meant more clearly."""
        tools, line = builder.situation.tools, heard.line
        if self.intents:
            name = next((i.tool for i in self.intents if i.name == understood.intent.name), "")
            spec = next((tool for tool in tools if name and tool.name == name), None)
            return () if spec is None else (yield from _call_tool(spec, understood.slots, line))
        if not tools:
            return ()
        seed = builder.situation.seed.child("tool")
        proposed: ProposedCall | IncompleteCall | None = yield from _continued_call(
            builder.situation.persona.name, heard, tools, seed
        )
        if proposed is None:
            proposed = yield from propose_call(
                line.text,
                tools,
                seed=seed,
                others=TALK_OPTIONS,
                none=False,
                margin=max(self.margin, _KNOWN_MARGIN) if known else self.margin,
                now=heard.now,
            )
            proposed = _without_invented_numbers(proposed, line.text)
        if isinstance(proposed, ProposedCall):
            return (yield from _call_tool(proposed.tool, proposed.arguments, line))
        if isinstance(proposed, IncompleteCall) and not _is_ordered(proposed, line.text, known):
            return ()
        return proposed or ()

    def _speak(
        self,
        builder: StepBuilder,
        heard: DialogueInput,
        records: Sequence[Record],
        calls: Sequence[ToolCallRecord],
        basis: ReplyBasis,
    ) -> Thought[str | Failed]:
        """Generate the reply on a basis, whose notes end the prompt."""
        persona = builder.situation.persona
        seed = builder.situation.seed.child("reply")
        ask = self._reply_request(builder, heard, basis)
        context = ReplyContext(
            name=persona.name,
            person=heard.line.who,
            line=heard.line.text,
            own_lines=tuple(line.text for line in heard.before if line.who == persona.name),
            prompt_sentences=_prompt_sentences(heard),
            calls=tuple(calls),
            others=_names_in(persona, records),
            most=heard.style.most_sentences or MAX_SENTENCES,
        )
        drafts = heard.style.drafts or self.drafts
        if drafts <= 1 and heard.stream and heard.style.sentences is None:
            answer = yield from generate(replace(ask, seed=seed.number))
            if not isinstance(answer, Completion):
                return "; ".join(result_texts(calls)) or answer
            text = answer.text.strip()
            if self.borne and not reports_results(text, context, self.borne):
                # Streamed text cannot be replaced, so the results are appended.
                text = f"{text} ({'; '.join(result_texts(calls))})".strip()
            return text or EMPTY_REPLY
        texts = (persona.background, persona.currently, persona.lifestyle, persona.daily)
        truths = DraftContext.of_prompt(
            ask.messages,
            me=persona.name,
            others=[heard.line.who],
            known=[*texts, *(record.text for record in records)],
        )
        if self.unknown:
            context = with_rules(context, basis, truths)
        # A small model repeats its own lines, so the second prompt leaves them out.
        others = tuple(line for line in heard.before if line.who != persona.name)
        again = self._reply_request(builder, replace(heard, before=others), basis)
        asks = (ask, replace(again, temperature=max(again.temperature, 0.8)))
        return (
            yield from best_reply(
                builder, asks, context, count=max(1, drafts), seed=seed, borne=self.borne
            )
        )

    def _reply_request(
        self, builder: StepBuilder, heard: DialogueInput, basis: ReplyBasis
    ) -> Generate:
        persona, line = builder.situation.persona, heard.line
        style = heard.style
        lines = heard.before[-(style.window or self.shown) :]
        others = {earlier.who for earlier in (*lines, line)} - {persona.name}
        shown = [excerpt(earlier.text, line.text, MAX_LINE_CHARS) for earlier in lines]
        spoken = [
            SpokenLine(text, said.who == persona.name, said.who if len(others) > 1 else "")
            for text, said in zip([*shown, line.text], [*lines, line], strict=True)
        ]
        speaker = Speaker(
            name=persona.name,
            facts=(
                *([f"I am {persona.traits}."] if persona.traits else []),
                *persona_sentences(persona.background, persona.name),
            ),
            partner="" if line.who == _NOBODY else line.who,
            known=(f"Earlier we said: {heard.summary}",) if heard.summary else (),
            manner=style.manner,
        )
        messages = speech_messages(speaker, spoken, memories=basis.memories, intent=basis.intent)
        return Generate(
            messages=_keeping_line(messages, line.text),
            max_tokens=style.max_tokens or 64,
            temperature=0.6 if style.temperature is None else style.temperature,
            top_p=0.9,
            repetition_penalty=1.0,
            stop=("\n",),
            stream=heard.stream and style.sentences is None,
            voice=speaking_voice(persona),
        )

    def _instructed(
        self,
        basis: ReplyBasis,
        resolve: Resolution,
        understood: Understanding,
        calls: Sequence[ToolCallRecord],
    ) -> ReplyBasis:
        """The basis with what the reply has to say if it is no ordinary answer, or reports the
        results of calls."""
        if resolve == "unknown":
            return replace(basis, resolve=resolve, memories=(), intent=NOT_KNOWN)
        if resolve == "hand_over":
            return ReplyBasis(resolve=resolve, intent=HANDED_OVER)
        if resolve == "ask":
            intent = next(i for i in self.intents if i.name == understood.intent.name)
            fields = intent.slots.get("properties", {})
            slots = [
                str(fields.get(name, {}).get("description") or name.replace("_", " "))
                for name in understood.missing
            ]
            return ReplyBasis(resolve=resolve, intent=f"I want to know: {', '.join(slots)}?")
        results = [f"The {record.tool} says: {record.text}" for record in calls if record.ok]
        return replace(basis, intent=" ".join(results))

    def _choose_citations(
        self, builder: StepBuilder, text: str, records: tuple[Record, ...]
    ) -> Thought[tuple[RecordId, ...]]:
        if not self.cite or not records or not text:
            return tuple(record.id for record in records)
        ids = {record.text: record.id for record in records}
        options, seed = (*map(Option, ids), NONE_OF_THESE), builder.situation.seed.child("cite")
        choice = yield from choose_among(options, about=text, role="evidence", seed=seed.number)
        if not isinstance(choice, Choice):
            return ()
        pairs = zip(ids.values(), choice.probabilities)
        return tuple(record_id for record_id, p in pairs if p > choice.probabilities[-1])


def add_turn_records(
    builder: StepBuilder, heard: DialogueInput, text: str, *, importance: float | None = None
) -> None:
    """Add the records of a turn of a chat: the line, and the reply if it has a text. They are rated
    when the step is finalized, unless ``importance`` is given."""
    name, line = builder.situation.persona.name, heard.line
    audience = (line.who,) if heard.private else ()
    episode = heard.episode_of(name)
    if not heard.is_recorded:
        builder.add_record(
            "utterance",
            format_utterance(line.who, name, line.text),
            who=line.who,
            importance=importance,
            audience=audience,
            episode=episode,
            rests_on=(line,),
            zone=heard.zone,
        )
    if text:
        said = format_utterance(name, line.who, text)
        builder.add_record(
            "utterance",
            said,
            importance=importance,
            audience=audience,
            episode=episode,
            zone=heard.zone,
        )


def _is_ordered(proposed: IncompleteCall, line: str, known: bool) -> bool:
    """Whether a line that lacks arguments of a call orders it all the same. "How long do I have to
    return something?" asks for knowledge: it orders no refund. A tool that reads may answer a
    question, if memory cannot, or if it is all but certain that the tool is meant."""
    if asked_question(line) is None or _ORDER.search(line):
        return True
    is_meant = not known or proposed.probability >= _CERTAIN
    return is_meant and proposed.tool.effect != "acts"


def _without_invented_numbers(
    proposed: ProposedCall | IncompleteCall | None, line: str
) -> ProposedCall | IncompleteCall | None:
    """A call of a tool that reads, incomplete if a required number is not in the line: an invented
    order number finds nothing, or another order. (For a tool that acts it is asked for anyway.)"""
    if not isinstance(proposed, ProposedCall) or proposed.tool.effect != "reads":
        return proposed
    schema, arguments = proposed.tool.parameters, proposed.arguments
    fields = {
        name: schema.get("properties", {}).get(name, {}) for name in schema.get("required", ())
    }
    missing = tuple(
        name
        for name, field in fields.items()
        if field.get("type") in ("integer", "number") and "enum" not in field
        if not is_stated(arguments.get(name), line, field)
    )
    return IncompleteCall(proposed.tool, missing, proposed.probability) if missing else proposed


def _continued_call(
    name: str, heard: DialogueInput, tools: Sequence[ToolSpec], seed: Seed
) -> Thought[ProposedCall | None]:
    """The call for which the speaker asked a moment ago ("For refund: which number?"), if the
    line states what was missing; None for any other line."""
    *earlier, line = (*heard.before, heard.line)
    if len(earlier) < 2 or earlier[-1].who != name or asked_question(line.text):
        return None
    question = earlier[-1].text
    spec = next((tool for tool in tools if question.startswith(call_question(tool))), None)
    request = next((said.text for said in reversed(earlier[:-1]) if said.who == line.who), "")
    if spec is None or not request:
        return None
    arguments = yield from fill_arguments(
        spec, line.text, seed=seed.child("continued"), context=request, now=heard.now
    )
    return None if isinstance(arguments, Failed) else ProposedCall(spec, arguments, 1.0)


def _call_tool(
    spec: ToolSpec, arguments: object, line: Utterance
) -> Thought[tuple[ToolCallRecord, ...]]:
    result = yield from call(Call(tool=spec.name, arguments=arguments, why=line.text))
    return (ToolCallRecord.from_answer(spec.name, arguments, result),)


def _keeping_line(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """The messages with the line to answer as a part that is never dropped."""
    *first, last = messages
    parts = tuple(Part(part.text) if part.text.endswith(text) else part for part in last.parts)
    return (*first, replace(last, parts=parts))


def _names_in(persona: Persona, records: Sequence[Record]) -> tuple[str, ...]:
    """The names in a prompt other than the persona's: speakers of records, and full names in its
    texts."""
    texts = (persona.background, persona.currently, *(record.text for record in records))
    full_names = (name for text in texts for name in _WHOLE_NAME.findall(text[:_MAX_CUE_CHARS]))
    names = dict.fromkeys((*(record.who for record in records), *full_names))
    return tuple(name for name in names if name and name != persona.name)


def _quoted_words(record: Record) -> str:
    """The quoted text of a record of an utterance; for others a text that no line equals."""
    match = re.fullmatch(r'[^"]+? said to [^"]+?: "(.*)"', record.text, re.DOTALL)
    return match[1] if match and record.kind == "utterance" else "\n"


def _prompt_sentences(heard: DialogueInput) -> tuple[str, ...]:
    instructions = (f"I am talking with {heard.line.who}.", "I want to say: I want to know:")
    return (*instructions, heard.style.manner) if heard.style.manner else instructions
