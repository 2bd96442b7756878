"""Embeddings of texts by the model's embedder."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from ...core import Embed, Failed, Json, Model, Vectors, replace_surrogates
from .api_error import api_error, failed_error
from .model_service import ModelService
from .request_types import EmbeddingRequest


async def embeddings(
    request: EmbeddingRequest, model: Model, service: ModelService, owner: str
) -> dict[str, Json]:
    """The response to a request for embeddings. Raises RequestRefused."""
    texts = [request.input] if isinstance(request.input, str) else request.input
    texts = [replace_surrogates(text) for text in texts]
    if any(not text.strip() for text in texts):
        raise api_error("a text is empty; leave it out", param="input")
    tokens = _token_counts(model, texts)
    answer = await service.answer(Embed(texts=tuple(texts)), owner)
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
    used = sum(tokens) or answer.tokens_in
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


def _token_counts(model: Model, texts: Sequence[str]) -> list[int]:
    """The tokens of each text, where the embedder counts them. Raises RequestRefused for a text
    that it would cut."""
    embedder = getattr(model, "embedder", None)
    if embedder is None:
        return []
    counts: list[int] = embedder.token_counts(texts)
    limit = embedder.max_tokens
    for place, count in enumerate(counts):
        if limit is not None and count > limit:
            raise api_error(
                f"text {place} has {count} tokens, more than the {limit} that the embedder reads; "
                "divide it",
                param="input",
                code="context_length_exceeded",
            )
    return counts
