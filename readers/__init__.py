"""Files and pages as text blocks with their places: plain text, Markdown, HTML, CSV/TSV, PDF, Word.
`read_blocks` picks a reader by file ending; `split_passages` cuts blocks to a size that an
embedder takes whole. HTML reading leaves out what a page hides from people
(`html_visibility`). Imports only core; used by memory (documents) and tools (fetched pages).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
