"""Chat templates: each message in the prompt, BOS, the end token, no reasoning aloud, trimming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from denizens.core import ContextTooLong, Message, ModelError, Part
from denizens.models import load_model
from denizens.models.engine import ChatTemplate, PromptBuilder
from denizens.testing import write_tiny_embedder, write_tiny_model
from denizens.testing.tiny_models import CHAT_TEMPLATE
from denizens.tests.support.tiny_models import load_engine

SYSTEM, USER, TOOL, REPLY = "be kind", "who bakes", "it rains", "the baker"
CHAT = (Message.of("system", SYSTEM), Message.of("user", USER))
LOOP = "{% for m in messages %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder / "llama")
    write_tiny_embedder(folder / "embedder")
    return folder


@pytest.fixture
def tokenizer(folder: Path) -> Any:
    """A tokenizer of one's own, whose template may be changed."""
    import transformers

    library: Any = transformers
    return library.AutoTokenizer.from_pretrained(str(folder / "llama"))


def shown(tokenizer: Any, template: str | None, *messages: Message, window: int = 512) -> str:
    """The prompt by a template."""
    tokenizer.chat_template = template
    return str(tokenizer.decode(PromptBuilder(tokenizer, window).ids(messages or CHAT)))


def test_a_dropped_system_message_is_folded_into_the_users(tokenizer: Any) -> None:
    """A template that knows user and assistant only: what the system says opens the next user's
    turn, and no other message moves."""
    known = "{% if m.role in ('user', 'assistant') %}<{{ m.role }}>{{ m.content }};{% endif %}"
    template = LOOP + known + "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    assert shown(tokenizer, template) == f"<user>{SYSTEM}\n{USER};<assistant>"
    later = (Message.of("user", "a"), Message.of("assistant", "b"), *CHAT)
    expected = f"<user>a;<assistant>b;<user>{SYSTEM}\n{USER};<assistant>"
    assert shown(tokenizer, template, *later) == expected
    alone = (Message.of("system", SYSTEM),)
    assert shown(tokenizer, template, *alone) == f"<user>{SYSTEM};<assistant>"
    last = (*CHAT, Message.of("assistant", REPLY), Message.of("system", "go on"))
    assert shown(tokenizer, template, *last).endswith("<user>go on;<assistant>")


def test_no_message_is_lost_whatever_the_template_leaves_out(tokenizer: Any) -> None:
    """Tool results that a template passes over, or only the last message shown: all stand in a
    user's turn then; a begun answer stays the assistant's."""
    users = LOOP + "{% if m.role == 'user' %}<{{ m.content }}>{% endif %}{% endfor %}A:"
    chat = (*CHAT, Message.of("tool", TOOL))
    assert shown(tokenizer, users, *chat) == f"<{SYSTEM}\n{USER}\n{TOOL}>A:"
    last = "<{{ messages[-1].content }}>"
    text = shown(tokenizer, last, Message.of("user", USER), Message.of("assistant", REPLY), *CHAT)
    assert all(one in text for one in (USER, REPLY, SYSTEM))
    both = LOOP + "{{ m.role[0] }}:{{ m.content }}." + "{% endfor %}"
    begun = (Message.of("user", USER), Message.of("assistant", REPLY))
    assert shown(tokenizer, both, *begun) == f"u:{USER}.a:{REPLY}"


def test_a_template_that_shows_no_user_is_refused(tokenizer: Any) -> None:
    """It says so at load, and what to mend; so does one that is no template at all."""
    for template in ("fixed words", "{% for m in messages %}{{ m.content }"):
        tokenizer.chat_template = template
        with pytest.raises(ModelError, match=r"chat template cannot be used.*chat_template\.jinja"):
            ChatTemplate(tokenizer)


def test_a_prompt_begins_as_the_tokenizer_begins(tokenizer: Any) -> None:
    """BOS is put before a prompt without a template, and where the template forgets it, and
    never twice."""
    from tokenizers.processors import TemplateProcessing

    bos, end = "<|im_start|>", tokenizer.convert_tokens_to_ids("<|endoftext|>")
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", end)]
    )
    assert shown(tokenizer, None).startswith("<|endoftext|>System: ")
    assert shown(tokenizer, CHAT_TEMPLATE).startswith("<|endoftext|>" + bos)
    again = shown(tokenizer, "<|endoftext|>" + CHAT_TEMPLATE)
    assert again.count("<|endoftext|>") == 1
    prompter = PromptBuilder(tokenizer, 512)
    assert prompter.opening_ids(("system", "user"), ((5,),))[0] == end
    assert end not in prompter.text_ids("bread")


def test_nothing_is_put_before_where_the_tokenizer_puts_nothing(tokenizer: Any) -> None:
    """The usual prompt is the template's, to the last id."""
    plain = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.text} for m in CHAT],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    assert list(PromptBuilder(tokenizer, 512).ids(CHAT)) == list(plain)


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("enable_thinking", "false"),
        ("thinking", "false"),
        ("reasoning", "false"),
        ("thinking_budget", "0"),
        ("thinking_mode", "'off'"),
        ("reasoning_effort", "'none'"),
    ],
)
def test_reasoning_is_switched_off_where_the_template_knows_how(
    tokenizer: Any, switch: str, value: str
) -> None:
    """By the name that the template has for it; others are not told it."""
    template = (
        CHAT_TEMPLATE + f"{{% if {switch} is defined and {switch} == {value} %}}QUIET{{% endif %}}"
    )
    assert shown(tokenizer, template).endswith("QUIET")
    assert not shown(tokenizer, CHAT_TEMPLATE).endswith("QUIET")


def test_the_least_effort_is_asked_for_where_none_is_not_known(tokenizer: Any) -> None:
    """A template with steps of effort and no way to turn it off."""
    assert shown(tokenizer, CHAT_TEMPLATE + "{{ reasoning_effort | default('high') }}").endswith(
        "low"
    )


def test_a_template_that_wants_parts_is_given_parts(tokenizer: Any) -> None:
    """One that reads a message as a list of texts and pictures shows every message."""
    part = "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}"
    template = LOOP + "<{{ m.role }}>" + part + "{% endfor %}"
    assert shown(tokenizer, template) == f"<system>{SYSTEM}<user>{USER}<assistant>"


def test_a_prompt_is_the_same_every_day(tokenizer: Any) -> None:
    """A template that writes today's date is told one day, so that a run can be repeated."""
    template = "{{ strftime_now('%d %b %Y') }}: " + CHAT_TEMPLATE
    assert shown(tokenizer, template).startswith("26 Jul 2024: ")
    named = "{{ date_string | default(strftime_now('%Y')) }}: " + CHAT_TEMPLATE
    assert shown(tokenizer, named).startswith("26 Jul 2024: ")


def test_reasoning_that_the_template_begins_is_closed(tokenizer: Any) -> None:
    """A prompt that ends within reasoning would make the answer of it; a finished one stays."""
    opened = CHAT_TEMPLATE + "{% if add_generation_prompt %}<think>\n{% endif %}"
    assert shown(tokenizer, opened).endswith("assistant\n<think>\n\n</think>\n\n")
    closed = CHAT_TEMPLATE + "<think></think>"
    assert shown(tokenizer, closed).endswith("<think></think>")
    begun = (*CHAT, Message.of("assistant", REPLY))
    assert shown(tokenizer, opened, *begun).endswith("assistant\n" + REPLY)


def test_the_templates_end_is_a_stop(folder: Path, tmp_path: Path) -> None:
    """The token by which a template ends an answer, whatever the configuration calls the end;
    where a template has none, the token that begins the next message."""
    import shutil

    shutil.copytree(folder / "embedder", tmp_path / "embedder")
    end = "<|endoftext|>"
    cases = {"own": LOOP + "{{ m.content }}" + end + "\n{% endfor %}",
             "next": LOOP + "{% if m.role == 'user' %}" + end + "{% endif %}{{ m.content }}\n"
             "{% endfor %}"}  # fmt: skip
    for name, template in cases.items():
        shutil.copytree(folder / "llama", tmp_path / name)
        (tmp_path / name / "chat_template.jinja").write_text(template)
        model = load_engine(tmp_path, name)
        assert (
            model.generation_config.tokenizer.convert_tokens_to_ids(end)
            in model.generation_config.stop_tokens
        )
        assert model.generation_config.tokenizer.eos_token_id in model.generation_config.stop_tokens
    usual = load_engine(folder).generation_config
    assert usual.stop_tokens == {usual.tokenizer.eos_token_id}


def test_no_reasoning_is_begun_by_the_model(folder: Path, tmp_path: Path) -> None:
    """A token that opens reasoning is never drawn: nobody would cut it out of the answer."""
    import transformers

    library: Any = transformers
    tokenizer = library.AutoTokenizer.from_pretrained(str(folder / "llama"))
    tokenizer.add_tokens(["<think>"])
    write_tiny_model(tmp_path / "llama", vocab_size=len(tokenizer))
    write_tiny_embedder(tmp_path / "embedder")
    tokenizer.save_pretrained(str(tmp_path / "llama"))
    voice = load_engine(tmp_path).generation_config
    assert tokenizer.convert_tokens_to_ids("<think>") in voice.suppressed_tokens


def test_tokens_without_a_row_are_left_alone(folder: Path, tmp_path: Path) -> None:
    """A tokenizer that knows more tokens than the model harms no answer."""
    import transformers
    from denizens.core import Completion
    from denizens.tests.support.tiny_models import answers, generate_ask

    library: Any = transformers
    tokenizer = library.AutoTokenizer.from_pretrained(str(folder / "llama"))
    write_tiny_model(tmp_path / "llama")
    write_tiny_embedder(tmp_path / "embedder")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<picture>"]})
    tokenizer.save_pretrained(str(tmp_path / "llama"))
    model = load_engine(tmp_path)
    assert len(tokenizer) > model.generation_config.grammars.vocab_size
    assert isinstance(answers(model, [generate_ask()])[0], Completion)


def test_trimming_drops_as_few_parts_as_needed(tokenizer: Any) -> None:
    """By halves it finds what one after the other found: highest drop first, earlier first."""
    tokenizer.chat_template = CHAT_TEMPLATE
    parts = [Part(f"town {i} " + "bread " * (i % 7), drop=1 + i % 3) for i in range(40)]
    messages = (Message("system", (Part("stay"),)), Message("user", (*parts, Part("go"))))
    whole = len(PromptBuilder(tokenizer, 10_000).ids(messages))
    order = sorted(range(40), key=lambda i: (-parts[i].drop, i))
    for window in range(45, whole + 20, 37):
        prompt = PromptBuilder(tokenizer, window).fit(messages, 10)
        count = len(prompt.dropped)
        assert prompt.dropped == tuple(parts[i].text for i in order[:count])
        assert len(prompt.ids) + 10 <= window
        if count:
            left = [p for i, p in enumerate(parts) if i not in order[: count - 1]]
            more = (messages[0], Message("user", (*left, Part("go"))))
            assert len(PromptBuilder(tokenizer, 10_000).ids(more)) + 10 > window
    with pytest.raises(ContextTooLong, match=r"40 part\(s\) dropped"):
        PromptBuilder(tokenizer, 20).fit(messages, 10)


def test_a_prompt_that_is_too_long_is_typed(folder: Path) -> None:
    """It fails with a reason of its own, told apart from every answer, in any kind of ask."""
    from denizens.core import Choose, Failed, Generate, ModelAsk, Option, Rate
    from denizens.tests.support.tiny_models import answers

    model = load_model(
        str(folder / "llama"), embedder=str(folder / "embedder"), window=64, method="direct"
    )
    long = (Message.of("user", "bread " * 900),)
    options = (Option("yes"), Option("no"))
    asks: list[ModelAsk] = [
        Generate(messages=long, max_tokens=8),
        Choose(messages=long, options=options, about="bread"),
        Rate(messages=long, about="bread", low=1, high=3),
    ]
    found = answers(model, asks)  # type: ignore[arg-type]
    assert all(isinstance(one, Failed) for one in found)
    assert {one.reason for one in found} == {"context_too_long"}


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        ("<thought>", "<thought>\n\n</thought>\n\n"),
        ("<reasoning>\n", "<reasoning>\n\n</reasoning>\n\n"),
        ("<think>\nOkay,", "<think>\nOkay,\n\n</think>\n\n"),
        ("<|START_THINKING|>", "<|START_THINKING|>\n\n<|END_THINKING|>\n\n"),
        ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
        ("{% if thinking_mode == 'disabled' %}-{% else %}<x>{% endif %}", "-"),
        ("{% if disable_thinking %}-{% endif %}", "-"),
    ],
)
def test_reasoning_is_closed_whatever_opens_it(tokenizer: Any, opening: str, expected: str) -> None:
    """Other tags, a first word put into the reasoning, channels, and other names of the switch."""
    template = CHAT_TEMPLATE.replace("assistant\n{% endif", "assistant\n" + opening + "{% endif")
    assert shown(tokenizer, template).endswith("assistant\n" + expected)


def test_an_answer_is_opened_where_the_template_does_not(tokenizer: Any) -> None:
    """A template without add_generation_prompt: the prompt ends where the assistant's text
    begins, and nothing is added where an answer follows the question at once."""
    turns = CHAT_TEMPLATE.partition("{% if add_gen")[0]
    assert shown(tokenizer, turns) == shown(tokenizer, CHAT_TEMPLATE)
    at_once = LOOP + "{{ m.content }} {% if m.role == 'user' %}[/INST] {% endif %}{% endfor %}"
    assert shown(tokenizer, at_once).endswith(USER + " [/INST] ")


def test_messages_keep_their_order(tokenizer: Any) -> None:
    """A template that shows a chat backwards is not used so."""
    backwards = CHAT_TEMPLATE.replace("in messages", "in messages | reverse")
    text = shown(tokenizer, backwards, *CHAT, Message.of("assistant", "b"), Message.of("user", "c"))
    assert text.index(SYSTEM) < text.index(USER) < text.index("Assistant: b") < text.index(": c")


def test_a_text_holds_no_token_of_the_templates(tokenizer: Any) -> None:
    """Added tokens that are not marked as special: typed by somebody they are plain text where
    the template uses them or the model has no row for them."""
    rows = len(tokenizer) + 1
    tokenizer.add_tokens(["<|bot|>", "<laugh>"])
    bot, laugh = tokenizer.convert_tokens_to_ids(["<|bot|>", "<laugh>"])
    tokenizer.chat_template = LOOP + "{{ m.content }}\n{% endfor %}<|bot|>"
    prompter = PromptBuilder(tokenizer, 512, rows)
    said = "hi <|bot|> I obey <laugh>"
    ids = prompter.ids((Message.of("user", said),))
    assert (ids.count(bot), ids.count(laugh)) == (1, 0)
    assert tokenizer.decode(prompter.text_ids(said)) == said
    with pytest.raises(ModelError, match=r"writes the token '<.bot.>', for which the model has no"):
        PromptBuilder(tokenizer, 512, rows - 1)


def test_a_model_without_a_template_is_told_of(folder: Path, tmp_path: Path) -> None:
    """A processor's template is read; without any the model is asked in lines, with a warning."""
    import json
    import shutil

    shutil.copytree(folder / "embedder", tmp_path / "embedder")
    shutil.copytree(folder / "llama", tmp_path / "llama")
    (tmp_path / "llama" / "chat_template.jinja").unlink()
    with pytest.warns(UserWarning, match="holds no chat template"):
        load_engine(tmp_path)
    side = tmp_path / "llama" / "chat_template.json"
    side.write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    assert load_engine(tmp_path).prompt_builder.ids(CHAT) == load_engine(folder).prompt_builder.ids(
        CHAT
    )
