"""The local inference engine: continuous batching over one causal language model.

`Engine` turns asks into token sequences, `Scheduler` picks those of the next forward pass, a
`Backend` runs them with a KV cache and a prefix cache, and `sampling` draws the next tokens.
Everything here needs torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
