"""Models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, a gateway.

``client`` connects; ``ask_handler`` turns asks into requests, ``transport`` sends them, and
``chat_completion`` and ``completion_stream`` read what comes back. ``remote_decider`` chooses
and rates from log-probabilities; ``llamacpp`` runs a server for a GGUF file within this
process.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
