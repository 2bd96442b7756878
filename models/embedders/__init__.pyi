from .embedder import Embedder as Embedder
from .embedder import load_embedder as load_embedder
from .image_embedder import ImageEmbedder as ImageEmbedder

__all__: list[str]
