"""Words in somebody's mouth: memories turned into speech, drafts turned into lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ...core import count_words, is_unspaced, replace_surrogates, short_name, words
from ...core.text import MONTH_NAMES, WEEKDAY_NAMES


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Marks that end a sentence in any script: Latin, CJK, Arabic, Devanagari, Armenian, Ethiopic.
_END_OF_SENTENCE = ".!?…。！？｡؟۔।॥։።"
_END_MARKS = _END_OF_SENTENCE + "\"'”»’』」)）] \n\t"
# A line that breaks off at one of these is not finished.
_OPEN_ENDS = (":", ",", ";", "-", "–", "—", "，", "：", "；", "、", "،", "؛")
_SENTENCE_END = re.compile(
    r"(?<!^)(?:[.!?…]++[\"”»’')\]]*+(?=\s|$)|[。！？｡؟۔।॥։።]++[」』”»\")）]*+)"
)
# Characters of a draft that are looked at.
_MAX_CHARS = 2_000
_QUOTES = {
    '"': '"',
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "「": "」",
    "『": "』",
    "‘": "’",
    "'": "'",
}
_BRACKETS = re.compile(r"[*(\[{<（［｛＜【]")
_DIRECTION = re.compile(r"^(?:[^\w¡¿]*[*(（][^*)）]*[*)）])+")
_ITEM = re.compile(r"^(?:[-•–*]|\d{1,2}[.)]) (?=\S)")
# What marks turns in the prompts of chat models, written out.
_CONTROL = re.compile(r"<\|[\w ]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>")
# With these an English sentence does not begin unless it asks: a line that does is the middle
# of one, such as "to the post office every day."
_MID_SENTENCE_WORDS = _word_set(
    "a an the to of in on at for with by from and or but that which who whose whom as than then is "
    "are was were am be been being has have had does did will would can could should may might "
    "must not"
)

# -- memories as their owner says them --------------------------------------------------------

_BE = {"is": "am", "isn't": "am not"}
_YOU_BE = {"is": "are", "isn't": "aren't", "was": "were", "wasn't": "weren't"}
_ADVERBS = ["always", "sometimes", "perhaps", "often", "never", "still", "also", "really", "now"]
_VERBS = {"has": "have", "hasn't": "haven't", "doesn't": "don't", "was": "was"} | {
    word: word for word in ("always", "sometimes", "perhaps")
}
_AUXILIARY = _word_set(
    "is isn't was wasn't has hasn't does doesn't will would can could should must did had"
)
# Verbs that only somebody does: after a name that is a word as well ("Will", "Rose") they tell
# that the person is meant.
_PERSONAL = _word_set(
    "likes loves hates knows thinks says tells asks wants hopes believes understands learned "
    "learns remembers lives works owns bakes cooks runs goes sleeps wakes gives takes makes said "
    "told asked thought wanted hoped knew felt feels heard hears saw sees met meets went owes "
    "plans promised wrote writes plays teaches studies"
)
_CLAUSE = re.compile(r"(?:^|[.!?,;][\"”’»)]* |\b(?:that|because|when|if|and) )$")
_PREPOSITION = re.compile(
    r"\b(?:of|with|to|for|by|from|at|about|near|like|and|on|in|sees|saw|knows|likes) $"
)
_MONTHS = frozenset((*MONTH_NAMES, *WEEKDAY_NAMES))
_TIME_BEFORE = re.compile(
    r"\b(?:in|on|of|since|until|till|by|next|last|this|early|mid|late|every|each|during|from|for|"
    r"before|after|to|through) $",
    re.IGNORECASE,
)
# Nobody lives in somebody, or flies to one: there a first name is that of a place.
_PLACE_BEFORE = re.compile(
    r"(?<!trust)(?<!trusts)(?<!believe)(?<!believes)(?<!faith)(?<!confides)(?<!confided)"
    r"(?<!interest)(?<!interested)(?<!confidence)(?<!love)(?<!believed)(?<!trusted) in $"
    r"|\b(?:flew|fl(?:y|ies)|flight|moved?|moves|travel\w*|trip|trips|emigrated|sailed|train) to $",
    re.IGNORECASE,
)
# First names that are English words as well. Where a sentence begins with one, its capital
# does not tell which it is.
_WORD_NAMES = _word_set(
    "Will Mark Rose Art Grace Hope Faith Joy Dawn Eve Summer Autumn Ivy Lily Daisy Violet Iris "
    "Olive Hazel Rich Bill Bob Jack Pat Sue Drew Frank Guy Chase Grant Hunter Mason Miles Rob Ray "
    "Dean Earl Duke Gene Pearl Ruby Amber Crystal Jade Penny Sandy Star Sky River Robin Jay Wren "
    "Angel Christian Carol Melody Harmony Mercy Patience Prudence Destiny Honor Victor Max Buddy "
    "King Prince Major Sunny Stone Cliff Heath Glen Forest Rusty Dusty Rocky Sage Basil Ginger "
    "Clay Flint Reed Lane Nick Don Wade Ward Page Piper Taylor Cook Baker Smith Opal Coral Fern "
    "Holly Heather Myrtle Poppy Bay Ash Sterling Chance Justice Liberty Skip Spike Tab Trip Van "
    "Wolf Bear Fox"
)
_ENGLISH_WORDS = _word_set(
    "the a an is are was were and of to in with that has have had will would at on for it her his "
    "their not does who when because likes from by about be been"
)
_OTHER_LANGUAGE_WORDS = _word_set(
    "el la los las del y con por para está una que le les des et est dans du au der das und ist "
    "nicht ein eine mit den il gli che di è della non é os um uma com não och är som het een van "
    "niet jest się z nie på ve bir de es en un se su muy mi ich sich wir auf für sind je nous vous "
    "sur pour avec ik jag og"
)
_UTTERANCE = re.compile(r'([^"]+?) said to ([^"]+?): (".*")', re.DOTALL)
_JOINTS = re.compile(r"(, | and )")
_QUOTATION = re.compile(
    # Bounded, so that a thousand marks that never close cost no more than a thousand looks.
    r"\"[^\"]*\"|“[^”]{0,999}”|„[^“”]{0,999}[“”]|«[^»]{0,999}»|「[^」]{0,999}」|『[^』]{0,999}』"
    r"|(?<!\w)['‘](?=\S)(?:[^'’\n]|(?<=\w)['’](?=\w)){0,300}+['’](?!\w)"
)


def to_first_person(text: str, me: str, other: str = "") -> str:
    """A memory in the third person as its owner would say it, to ``other`` if given.

    A tiny model says what it is shown: shown "Bo is baking" it speaks of Bo as of a
    stranger. Only names and the verbs after them change: what stands in quotation marks stays
    as it was said, and so do words that merely look like a name ("in May", "Will you come?"),
    other people of that first name ("Bo Marsh") and texts that are not English.

    >>> to_first_person("Bo Li is giving a supper. Bo Li's oven works.", "Bo Li")
    'I am giving a supper. My oven works.'
    >>> to_first_person("Bo Li likes the bread of Ada Ek. Ada likes rye.", "Bo Li", "Ada Ek")
    'I like the bread of you. You like rye.'
    >>> to_first_person('Ada Ek said to Bo Li: "Bo Li bakes."', "Bo Li")
    'Ada Ek said to me: "Bo Li bakes."'
    """
    if not me.strip():
        return text
    if found := _UTTERANCE.fullmatch(text):
        # Names in a record of speech are whole, so that a Bo is not taken for Bo Li.
        who, whom, quotation = found.groups()
        teller = {me: "I", other: "You"}.get(who, who) if who else who
        hearers = [{me: "me", other: "you"}.get(part, part) for part in _JOINTS.split(whom)]
        return f"{teller} said to {''.join(hearers)}: {quotation}"
    if not is_english(text, (me, other)):
        return text
    persons = (
        (me, other, ("I", "me", "my"), _VERBS | _BE),
        (other, me, ("you", "you", "your"), _VERBS | _YOU_BE),
    )
    # Whole names first: two people may share a first name.
    for name, _, forms, verbs in persons:
        if name.strip():
            text = _replace_name(text, name, forms, verbs)
    for name, rival, forms, verbs in persons:
        first = short_name(name) if name.strip() else ""
        if first and first != name and first != (short_name(rival) if rival.strip() else ""):
            text = _replace_name(text, first, forms, verbs)
    return text


def is_english(text: str, names: Iterable[str]) -> bool:
    """Whether English pronouns may be put into a text: its letters are Latin, and it has not
    more of the common words of other languages than of English ones."""
    plain = _QUOTATION.sub(" ", text)
    for name in names:
        plain = plain.replace(name, " ") if name else plain
    if any(one.isalpha() and "LATIN" not in unicodedata.name(one, "LATIN") for one in plain):
        return False
    found = re.findall(r"\w+", plain.lower())
    return sum(one in _OTHER_LANGUAGE_WORDS for one in found) <= sum(
        one in _ENGLISH_WORDS for one in found
    )


def _replace_name(text: str, name: str, forms: tuple[str, str, str], verbs: dict[str, str]) -> str:
    """A name as subject, as object and as owner put into another person."""
    quoted = [found.span() for found in _QUOTATION.finditer(text)]
    one_word = " " not in name
    rival = one_word and re.search(rf"(?<!\w){re.escape(name)} (?!I\b)[^\W\d_a-zà-ÿ]\w+", text)
    adverbs = "|".join(_ADVERBS)
    pattern = re.compile(
        rf"(?<!\w){re.escape(name)}(?!\w)"
        rf"(?:(?P<own>['’]s\b|(?<=s)['’](?= \w))"
        rf"|(?P<between> (?:{adverbs}))?(?P<verb> [a-z]+(?:'t)?\b))?"
    )

    def put(found: re.Match[str]) -> str:
        start = found.start()
        before = found.string[max(0, start - 80) : start]
        if any(first <= start < last for first, last in quoted):
            return found[0]
        own, between, verb = (found[key] or "" for key in ("own", "between", "verb"))
        if one_word and (rival or not _is_a_name(name, before, own, verb.strip())):
            return found[0]
        subject, thing, owner = forms
        clause = _CLAUSE.search(before) is not None
        finite = verb.strip() in _AUXILIARY or verb.strip() in _PERSONAL
        alone = finite and not _PREPOSITION.search(before)
        if own:
            said = owner
        elif verb and (clause or alone) and verb.strip() not in ("and", "or"):
            said = f"{subject}{between} {_base_verb(verb.strip(), verbs)}"
        else:
            said = (subject if clause and verb == " and" else thing) + between + verb
        begins = not before.strip() or (
            before[-1:].isspace() and before.rstrip().rstrip('"”’»)')[-1:] in (".", "!", "?")
        )
        return said[0].upper() + said[1:] if begins else said

    return pattern.sub(put, text)


def _is_a_name(name: str, before: str, own: str, verb: str) -> bool:
    """Whether a first name at a place of a text names its bearer alone."""
    last = before[-1:].isspace() and before.rstrip()[-1:]
    starts = not before.strip() or bool(last and not last.isalnum() and last != ",")
    previous = re.search(r"(?:^|[\s(])([^\W\d_]\w*) $", before)
    if previous and previous[1][0].isupper() and previous[1] not in ("I", "The"):
        # "Modern Art", "Mary Bo": part of a longer name, unless a sentence begins so.
        opening = not before[: previous.start(1)].strip() or before[
            : previous.start(1)
        ].rstrip().endswith(tuple(_END_OF_SENTENCE))
        if not opening or name in _WORD_NAMES or name in _MONTHS:
            return False
    if _PLACE_BEFORE.search(before) and not own:
        return False
    if name in _MONTHS:
        return not _TIME_BEFORE.search(before) and (bool(own) or verb in _PERSONAL)
    if name in _WORD_NAMES and starts:
        return bool(own) or verb in _PERSONAL or verb in _AUXILIARY
    return True


def _base_verb(verb: str, verbs: dict[str, str]) -> str:
    """A verb without the third person's ending."""
    if verb in verbs:
        return verbs[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


# -- drafts as lines --------------------------------------------------------------------------


def clean_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """A generated line as speech: no name, quotation marks or stage direction around it, at
    most two sentences, and no unfinished last one where a whole one stands before it.

    Who says a line is settled before it is written, so the name of any of ``others`` before it
    is cut off like one's own, and so is what another would say next. Empty for what is no
    speech in any script: a fragment that begins in the middle of a sentence or breaks off at a
    comma, or a stage direction inside it.

    >>> clean_line('Bo: *smiles* "Good morning! How are you? I was', "Bo Li")
    'Good morning! How are you?'
    >>> clean_line("to the post office every day", "Bo Li")
    ''
    >>> clean_line("Ada: 早上好！今天的面包怎么样？ Bo: 很好。", "Bo Li", ["Ada Ek"])
    '早上好！今天的面包怎么样？'
    """
    said = _DIRECTION.sub("", first_spoken_line(text[:_MAX_CHARS], me, others)).strip(" *")
    said = strip_quotes(said)
    if not said or _BRACKETS.search(said) or is_fragment(said):
        return ""
    ends = sentence_ends(said)
    whole = strip_quotes(said[: ends[:2][-1]] if ends else said).strip(" *")
    return whole if has_two_words(whole) and not is_unfinished(whole) else ""


def first_spoken_line(text: str, me: str, others: Sequence[str] = ()) -> str:
    """The first line of a text that holds words, without the name of a speaker before it, and
    only up to where another speaker's name begins.

    >>> first_spoken_line("**Bo Li:** Hello! Ada: Hi.", "Bo Li", ["Ada Ek"])
    'Hello!'
    """
    label, later = _speaker_patterns((me, *others))
    text = _CONTROL.sub("\n", unicodedata.normalize("NFC", replace_surrogates(text)))
    lines = _join_list_items(
        [said for line in text.splitlines() if (said := " ".join(line.split()))]
    )
    for place, said in enumerate(lines):
        # "Here is my answer as Bo:", "In a warm voice:" before what is said.
        if said[-1] in ":：" and place + 1 < len(lines):
            continue
        for _ in range(3):
            said, cut = label.subn("", strip_quotes(said) if _is_quoted(said) else said)
            if not cut:
                break
        if found := later.search(said):
            said = said[: found.start()]
        if said := said.strip():
            return said
    return ""


def _join_list_items(lines: Sequence[str]) -> list[str]:
    """Lines with the items of a list in one line, after what announces them."""
    told: list[str] = []
    after_item = False
    for line in lines:
        item = _ITEM.match(line)
        if item and told and (after_item or told[-1][-1] in ":："):
            told[-1] += f"{',' if after_item else ''} {line[item.end() :]}"
        else:
            told.append(line[item.end() :] if item else line)
        after_item = item is not None
    return told


def _is_quoted(text: str) -> bool:
    """Whether a quotation mark stands before everything in a text."""
    return text[:1] in _QUOTES and text[:1] != "'"


@lru_cache(maxsize=256)
def _speaker_patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches a speaker's name before a line, and one within it."""
    known = {
        unicodedata.normalize("NFC", form)
        for name in names
        if name.strip()
        for form in (name, short_name(name), name.strip().partition(" ")[2].strip())
        if form
    }
    sides = {"Assistant", "AI", "User", "Human", "System"}
    listed = "|".join(re.escape(one) for one in sorted(known | sides, key=len, reverse=True))
    answer = "|A|Answer|Reply|Response"
    says = r"(?:\s+(?:says|said|replies|replied|answers|answered)\b[^:：\n\"“]{0,40})?"
    mark = r"\s*(?:\([^)]*\)\s*)?[*_\"”]*\s*[:：][*_]*\s*"
    before = re.compile(rf"^[*_#>\[\s]*(?:{listed}{answer})\]?{says}{mark}", re.IGNORECASE)
    # A name within a sentence is addressed: "I asked Will: will you come?"
    within = re.compile(
        rf"(?<![\w@])(?<![\w,]\s)[*_\[]*(?:{listed})[*_\]]*\s?[:：](?=[*_\s\"“]|$)",
        re.IGNORECASE,
    )
    return before, within


def strip_quotes(text: str) -> str:
    """A text without quotation marks around all of it, and without one that has no other.

    >>> strip_quotes('"The loaf called "Ada" is gone.'), strip_quotes('Say "rye" to me.')
    ('The loaf called "Ada" is gone.', 'Say "rye" to me.')
    """
    said = text.strip()
    while True:
        before = said
        if len(said) > 1 and said[-1] in _QUOTES.get(said[0], "") and _is_wrapped(said):
            said = said[1:-1].strip()
        if said.count('"') % 2:
            said = said[1:] if said[0] == '"' else _remove_marks(said, '"', said.rfind('"') - 1)
        for first, last in (("“„", "”"), ("«", "»"), ("「", "」"), ("『", "』")):
            opened = sum(said.count(mark) for mark in first)
            if opened != said.count(last):
                said = _remove_marks(said, first + last)
        said = said.strip()
        if said == before:
            return said


def _is_wrapped(text: str) -> bool:
    """Whether the marks at both ends of a text belong together."""
    mark, inner = text[0], text[1:-1]
    if mark == "'":
        return re.search(r"(?<!\w)'|'(?!\w)", inner) is None
    if mark != '"':
        return mark not in inner and text[-1] not in inner
    place = inner.find('"')
    # What opens after a blank stands inside; what closes after a word ends the first one.
    return place < 0 or (place > 0 and inner[place - 1].isspace()) or not inner.strip('" ')


def _remove_marks(text: str, marks: str, start: int = 0) -> str:
    """A text without marks from a place on; a blank keeps two words apart."""
    start = max(0, start)
    rest = re.sub(rf"(?<=\w)[{marks}](?=\w)", " ", text[start:])
    return text[:start] + re.sub(rf"[{marks}]", "", rest)


def is_fragment(text: str) -> bool:
    """Whether a text begins in the middle of a sentence. Scripts without capitals have no such
    sign, and who writes none at all must end what it says and not begin in the middle.

    >>> is_fragment("with me."), is_fragment("¡Hola, Ada!"), is_fragment("good morning, ada!")
    (True, False, False)
    """
    first = next((one for one in text if one.isalnum()), "")
    if not first:
        return True
    if not first.islower():
        return False
    start = re.search(r"\w+", text)
    asks = text.rstrip().endswith(("?", "؟", "？"))
    middle = start is not None and start[0] in _MID_SENTENCE_WORDS and not asks
    capitals = any(one.isupper() for one in text)
    return middle or capitals or not text.rstrip("\"”»') ").endswith(tuple(_END_OF_SENTENCE))


def has_two_words(text: str) -> bool:
    """Whether a text has two words or more; one of two characters where words have no blanks."""
    return count_words(text) >= 2 or sum(map(is_unspaced, text)) >= 2


def is_unfinished(text: str) -> bool:
    """Whether a text breaks off at a comma or the like; Greek asks with a semicolon."""
    said = text.rstrip()
    greek = said.endswith(";") and any("Ͱ" <= one <= "Ͽ" for one in said)
    return said.endswith(_OPEN_ENDS) and not greek


def sentences(text: str) -> list[str]:
    """The finished sentences of a text, in any script.

    >>> sentences("Good day! It costs 3.50 now. And"), sentences("你好！面包很香。")
    (['Good day!', 'It costs 3.50 now.'], ['你好！', '面包很香。'])
    """
    starts = [0, *(ends := sentence_ends(text))]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def sentence_ends(text: str) -> list[int]:
    """Where the finished sentences of a text end; marks by themselves end the one before."""
    ends: list[int] = []
    for found in _SENTENCE_END.finditer(text):
        if ends and not text[ends[-1] : found.end()].strip(_END_MARKS):
            ends.pop()
        ends.append(found.end())
    return ends


def join_sentences(parts: Iterable[str]) -> str:
    """Sentences as a text; those that end with a full-width mark take no blank after them."""
    text = ""
    for part in parts:
        text += f" {part}" if text and text[-1] not in "。！？」』" else part
    return text


def repeats(text: str, told: Sequence[str], share: float = 0.7) -> bool:
    """Whether a line says again what was said: most of its words stand in an earlier one.

    >>> repeats("See you at the cafe!", ["see you at the cafe"]), repeats("Hello.", ["Bread?"])
    (True, False)
    """
    return word_overlap(text, told) > share


def word_overlap(text: str, told: Iterable[str]) -> float:
    """The largest share of a line's words that it has in common with an earlier one; of the
    shorter of both."""
    said = set(words(text))
    most = 0.0
    for line in told if said else ():
        other = set(words(line))
        most = max(most, len(said & other) / max(1, min(len(said), len(other))))
    return most


def excerpt(text: str, about: str, limit: int) -> str:
    """At most about ``limit`` characters of a long text: its beginning, and the sentences that
    share most words with ``about``; what was left out shows as "…".

    >>> excerpt("My essay. " + "Rye is grass. " * 50 + "The cat sleeps.", "Where is the cat?", 60)
    'My essay. Rye is grass. … The cat sleeps.'
    """
    if len(text) <= limit:
        return text
    # What is far beyond the limit is cut first: a book must not be read for one line.
    pieces = [
        piece[at : at + limit // 2].strip()
        for piece in re.findall(
            rf"[^{_END_OF_SENTENCE}\n]+[{_END_OF_SENTENCE}\n]*", text[: 50 * limit]
        )
        for at in range(0, len(piece), max(1, limit // 2))
    ]
    if not (pieces := [piece for piece in pieces if piece]):
        return f"{text[:limit]} …"  # Nothing but marks.
    asked = set(words(about))
    scores = [len(asked & set(words(piece))) / (1 + len(piece) / limit) for piece in pieces]
    chosen, size = set[int](), 0
    order = [0, *sorted(range(1, len(pieces)), key=lambda place: (-scores[place], place))]
    for place in order:
        if pieces[place] in {pieces[one] for one in chosen}:
            continue
        if size + len(pieces[place]) > limit:
            break
        chosen.add(place)
        size += len(pieces[place]) + 1
    shown, last = "", -1
    for place in sorted(chosen):
        joint = "" if not shown else " " if place == last + 1 else " … "
        shown, last = shown + joint + pieces[place], place
    return shown if last == len(pieces) - 1 else f"{shown} …"
