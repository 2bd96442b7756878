"""Model files: the packaged models, the cache folder, transformers checkpoints and GGUF.

`pull` and `remove` manage packaged models, `read_checkpoint` and `read_gguf` load weights and
tokenizer. Weights are read from safetensors and GGUF only; no code of a folder is ever run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
