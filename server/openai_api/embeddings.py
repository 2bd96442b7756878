"""Embeddings of texts by the model's embedder."""

from __future__ import annotations

import base64

from ...core import Embed, Failed, Json, Vectors, replace_surrogates
from .api_error import api_error, failed_error
from .model_service import ModelService
from .request_types import EmbeddingRequest


async def embeddings(
    request: EmbeddingRequest, service: ModelService, owner: str
) -> dict[str, Json]:
    """The response to a request for embeddings. Raises RequestRefused."""
    texts = [request.input] if isinstance(request.input, str) else request.input
    texts = [replace_surrogates(text) for text in texts]
    if any(not text.strip() for text in texts):
        raise api_error("a text is empty; leave it out", param="input")
    answer = await service.answer(Embed(texts=tuple(texts), whole=True), owner)
    if isinstance(answer, Failed):
        raise failed_error(answer, "input")
    if not isinstance(answer, Vectors):
        raise api_error(f"the model answered with a {answer.kind}", status=500)
    if request.dimensions not in (None, answer.columns):
        raise api_error(
            f"the vectors have {answer.columns} dimensions; a part of them means nothing, since "
            "the embedder was not trained for that; leave 'dimensions' out",
            param="dimensions",
            code="unsupported_value",
        )
    rows = answer.array()
    used = answer.tokens_in
    return {
        "object": "list",
        "model": request.model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
                if request.encoding_format == "base64"
                else row.tolist(),
            }
            for index, row in enumerate(rows)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
