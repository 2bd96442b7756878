from .bfcl import data_folder as data_folder
from .default_embedder import packaged_embedder as packaged_embedder

__all__: list[str]
