"""Twelve character cards, four of each version, and PNG files that hold them.

They are written as different editors write: with and without blanks, with escapes, with numbers in
other forms than Python's, with fields that nobody knows.
"""

from __future__ import annotations

import base64
import zlib

from denizens.interop.cards.png_chunks import (
    PngChunk,
    plain_png,
    read_png_chunks,
    text_chunk,
    write_png_chunks,
)

_V1_PLAIN = """{"name":"Mara Tolle","description":"{{char}} is a clock maker of 41 years. Age: 41. \
{{user}} is her new neighbour.","personality":"dry, patient","scenario":"{{char}} mends the tower \
clock.","first_mes":"*She looks up.* Ah, {{user}}.","mes_example":"<START>\\n{{user}}: hi\\n\
{{char}}: hello"}"""

_V1_UNKNOWN = """{
\t"char_version" : 1.50,
\t"name" : "Ilse Kern",
\t"description" : "Ilse Kern keeps bees. Ilse Kern\\u0027s hives stand in the orchard.",
\t"personality" : "",
\t"scenario" : "",
\t"first_mes" : "Hello\\/Hallo, <USER>!",
\t"mes_example" : "",
\t"metadata" : { "version" : 1, "created" : 1.68e12, "tool" : null , "source":[ ] }
}
"""

_V1_OLD_FRONT_END = """{"char_name":"Rui","name":"Rui","char_persona":"x","description":"<BOT> \
sells maps. <BOT> is 29 years old.","personality":"curious","scenario":"A market.","first_mes":"",\
"mes_example":"","create_date":"2023-5-6 @12h 01m 33s 1ms","talkativeness":"0.5","fav":false,\
"big":12345678901234567890,"tiny":-0.0,"e":1E+2}"""

_V1_SCRIPTS = (
    '{"name": "Анна", "description": "Анна учит детей. 🎈 {{char}} любит {{user}}.",'
    ' "personality": "добрая", "scenario": "学校", "first_mes": "Привет, {{user}}! 👋🏽",'
    ' "mes_example": "", "x": "\\ud83d", "\\u00e9t\\u00e9": [1.0, [2.00, {"a": []}]]}'
)

_V2_FULL = """{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"Oda Brandt",\
"description":"{{char}} steers the ferry. Oda Brandt is 52 years old.","personality":"calm",\
"scenario":"{{char}} waits for the fog to lift.","first_mes":"You are late, {{user}}.",\
"mes_example":"<START>\\n{{user}}: When do you leave?\\n{{char}}: When I can see the buoy.",\
"creator_notes":"Best with a slow model.","system_prompt":"{{original}} Speak briefly.",\
"post_history_instructions":"Stay calm.","alternate_greetings":["Ahoy, {{user}}.",\
"{{random:Fog,Mist}} again."],"tags":["river","{{char}}"],"creator":"me","character_version":"1.2",\
"extensions":{"depth_prompt":{"prompt":"","depth":4,"role":"system"},"fav":false,\
"talkativeness":"0.50","chub/id":123.0},"character_book":{"name":"River","scan_depth":100,\
"extensions":{"x":1.10},"entries":[\
{"keys":["sunken bell","low tide"],"content":"It hangs under the quay and rings.","extensions":\
{"position":0},"enabled":true,"insertion_order":100,"case_sensitive":null,"id":7,"priority":10.0},\
{"keys":["buoy"],"content":"The red buoy marks the sandbank.","extensions":{},"enabled":true,\
"insertion_order":2},\
{"keys":["pirates"],"content":"There are no pirates.","extensions":{},"enabled":false,\
"insertion_order":3},\
{"keys":[],"content":"{{char}} never sails on Sundays.","extensions":{},"enabled":true,\
"insertion_order":1,"constant":true,"position":"before_char"}]}}}"""

_V2_WITH_V1_ROOT = """{
    "name": "Tom Pell",
    "description": "root text that V2 does not count",
    "personality": "",
    "scenario": "",
    "first_mes": "root greeting",
    "mes_example": "",
    "creatorcomment": "",
    "avatar": "none",
    "chat": "Tom Pell - 2024-1-1 @10h 00m 00s 000ms",
    "talkativeness": "0.5",
    "fav": false,
    "tags": [],
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {
        "name": "Tom Pell",
        "description": "Tom Pell carves spoons.\\r\\nTom Pell hums.",
        "personality": "slow",
        "scenario": "",
        "first_mes": "Mm.",
        "mes_example": "",
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": "",
        "tags": [],
        "creator": "",
        "character_version": 3,
        "alternate_greetings": [],
        "extensions": { "denizens": { "age": 67, "lifestyle": "Tom Pell wakes up around 5am, goes \
to bed around 9pm." }, "world": "", "regex_scripts": [ { "findRegex": "/(a+)+$/", "n": 1e-7 } ] }
    },
    "create_date": "2024-1-1 @10h 00m 00s 000ms"
}"""

_V2_SPARSE = """{"spec":"chara_card_v2","data":{"extensions":{},"name":"Wren","x_unknown":{"deep":\
{"deeper":{"deepest":[{},{"":""}]}}},"description":null,"tags":null,"first_mes":"Hi."},\
"spec_version":"2.0"}"""

_V2_REGEX_BOOK = """{ "spec": "chara_card_v2", "spec_version": "2.0", "data": { "name": "Lio Faber",
 "description": "Lio Faber repairs radios.", "personality": "", "scenario": "", "first_mes": "",
 "mes_example": "", "creator_notes": "", "system_prompt": "", "post_history_instructions": "",
 "alternate_greetings": [], "tags": [], "creator": "", "character_version": "", "extensions": {},
 "character_book": { "extensions": {}, "entries": [
  { "keys": ["/(x+x+)+y/i", "valve"], "secondary_keys": ["glass"], "selective": true,
    "content": "The last valve came from a ship.", "extensions": {}, "enabled": true,
    "insertion_order": 0 , "probability": 33.30 } ] } } }"""

_V3_FULL = """{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"Seraphina of the Glade",\
"nickname":"Sera Vey","description":"{{char}} guards the moon well. She is 230 years old.",\
"personality":"gentle","scenario":"{{char}} gathers herbs.","first_mes":"Welcome, {{user}}.",\
"mes_example":"","creator_notes":"en","creator_notes_multilingual":{"de":"Hinweis"},\
"system_prompt":"","post_history_instructions":"","alternate_greetings":[],"group_only_greetings":\
["Welcome, all."],"tags":["forest"],"creator":"me","character_version":"3","extensions":{},\
"assets":[{"type":"icon","uri":"ccdefault:","name":"main","ext":"png"},{"type":"x_voice","uri":\
"embeded://assets/x.ogg","name":"v","ext":"ogg"}],"source":["https://example.org/c/1"],\
"creation_date":1700000000,"modification_date":1700000000.0,"character_book":{"extensions":{},\
"entries":[{"keys":["moon well"],"content":"@@depth 5\\n@@role system\\n\\nThe well is silver at \
midnight.","extensions":{},"enabled":true,"insertion_order":1,"use_regex":false},\
{"keys":["secret"],"content":"@@dont_activate\\nNever shown.","extensions":{},"enabled":true,\
"insertion_order":2,"use_regex":false}]}}}"""

_V3_NEWER = """{"spec":"chara_card_v3","spec_version":"3.1","data":{"name":"Kit Amsel",\
"description":"Kit Amsel juggles.","personality":"","scenario":"",\
"first_mes":"Catch!","mes_example":"","creator_notes":"","system_prompt":"","post_history_instructions":"","alternate_greetings":[],\
"group_only_greetings":[],"tags":[],"creator":"","character_version":"","extensions":{},\
"future_field":{"a":[true,false,null,1.0E-3]}}, "later" : "yes" }"""

_V3_REGEX = """{"spec":"chara_card_v3","spec_version":"3.0","data":{"extensions":{},"name":"Bo","\
description":"Bo is 8 years old.","first_mes":"","tags":[],"creator":"","character_version":"",\
"mes_example":"","system_prompt":"","post_history_instructions":"","alternate_greetings":[],\
"personality":"","scenario":"","creator_notes":"","group_only_greetings":[],"character_book":{\
"recursive_scanning":true,"token_budget":2048,"extensions":{"k":"v"},"entries":[{"keys":\
["^dragon.*"],"use_regex":true,"content":"Bo has seen a dragon.","extensions":{},"enabled":true,\
"insertion_order":-1.5}]}}}"""

_V3_MACROS = """{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"Nell Ostrow","\
description":"{{// hidden }}{{char}} counts stars.{{newline}}{{comment: c}}{{CHAR}} owes {{user}} \
{{roll:d6}} coins.","personality":"{{pick:quiet,quiet}}","scenario":"{{unknown_macro::1}}",\
"first_mes":"It is {{weekday}}, {{user}}. {{reverse:abc}}","mes_example":"","creator_notes":"",\
"system_prompt":"","post_history_instructions":"","alternate_greetings":[],"group_only_greetings":[\
],"tags":[],"creator":"","character_version":"","extensions":{}}}"""

CARD_TEXTS = {
    "v1 plain": _V1_PLAIN,
    "v1 unknown fields": _V1_UNKNOWN,
    "v1 of an old front end": _V1_OLD_FRONT_END,
    "v1 in other scripts": _V1_SCRIPTS,
    "v2 full": _V2_FULL,
    "v2 with V1 fields": _V2_WITH_V1_ROOT,
    "v2 sparse": _V2_SPARSE,
    "v2 with patterns": _V2_REGEX_BOOK,
    "v3 full": _V3_FULL,
    "v3 newer": _V3_NEWER,
    "v3 with patterns": _V3_REGEX,
    "v3 with macros": _V3_MACROS,
}
"""The JSON of twelve cards; a key begins with the version."""


def card_picture(text: str, chunk: str = "tEXt") -> bytes:
    """A PNG file with a card in a chunk of that kind ("iTXt-z": a compressed iTXt), and chunks
    that have nothing to do with it."""
    keyword = b"ccv3" if '"chara_card_v3"' in text else b"chara"
    data = base64.b64encode(text.encode())
    packed = zlib.compress(data)
    chunks = {
        "tEXt": PngChunk(b"tEXt", keyword + b"\0" + data),
        "zTXt": PngChunk(b"zTXt", keyword + b"\0\0" + packed),
        "iTXt": PngChunk(b"iTXt", keyword + b"\0\0\0\0\0" + data),
        "iTXt-z": PngChunk(b"iTXt", keyword + b"\0\1\0\0\0" + packed),
    }
    first, *rest = read_png_chunks(plain_png(4, 6, (9, 80, 140)), "picture")
    other = [text_chunk("Software", b"an editor"), PngChunk(b"prVt", b"\x00\xff private")]
    return write_png_chunks([first, *other, chunks[chunk], *rest])
