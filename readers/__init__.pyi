from .file_reader import read_blocks as read_blocks
from .html_reader import html_blocks as html_blocks
from .passages import Passage as Passage
from .passages import split_passages as split_passages

__all__: list[str]
