from .documents import DocumentImport as DocumentImport
from .documents import Documents as Documents
from .documents import document_input as document_input
from .images import Images as Images

__all__: list[str]
