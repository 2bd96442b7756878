"""Models that answer asks: `load_model` turns a name into a local model, a remote one or a test
double.

`engine/` batches and runs a local transformers model, `grammar/` constrains its output to a
JSON schema, `decisions/` scores options and ratings, `remote/` speaks to OpenAI-compatible
servers and llama.cpp. Importing this package loads no torch; the engine does on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
