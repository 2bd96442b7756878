"""Writing by a JSON Schema: every next token keeps the text a prefix of a valid value.

``grammar`` compiles schemas and masks logits, by llguidance; ``schema`` walks, checks and
rewrites JSON Schemas; ``schema_ir`` holds what the values of a schema look like and the
shortest of each; ``completion`` finds the shortest end of a value that was begun, so that a
token limit always holds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
