from .documents import DocumentImport as DocumentImport
from .documents import Documents as Documents
from .documents import document_input as document_input
from .images import IMAGES_SUFFIX as IMAGES_SUFFIX
from .images import Images as Images

__all__: list[str]
