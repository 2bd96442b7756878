"""Pictures: a small CLIP model of random weights, a memory beside that of texts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.core import MemoryFault, ModelError, SettingError
from denizens.memory import Images, Memory
from denizens.models.embedders import ImageEmbedder
from denizens.testing import write_tiny_embedder

NOW = datetime(2023, 6, 1, 9)


def write_clip(folder: Path) -> Path:
    """A CLIP model of one layer and random weights, its vectors 24 long."""
    import torch
    import transformers

    library: Any = transformers
    write_tiny_embedder(folder / "words")
    tokenizer = library.AutoTokenizer.from_pretrained(str(folder / "words"))
    tokenizer.model_max_length = 64
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = library.CLIPConfig(
        text_config={**small, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": 64},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=24,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        library.CLIPModel(config).save_pretrained(str(folder / "clip"))
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    reader = getattr(library, "CLIPImageProcessorPil", library.CLIPImageProcessor)(**sizes)
    processor = library.CLIPProcessor(image_processor=reader, tokenizer=tokenizer)
    processor.save_pretrained(str(folder / "clip"))
    return folder / "clip"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ImageEmbedder:
    """The small model, loaded once."""
    return ImageEmbedder(write_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A red, a blue and a striped picture."""
    from PIL import Image

    paths = []
    for name, colour in (("red.png", (255, 0, 0)), ("blue.png", (0, 0, 255))):
        Image.new("RGB", (40, 30), colour).save(tmp_path / name)
        paths.append(tmp_path / name)
    striped = Image.new("L", (32, 32))
    striped.putdata([255 * (n // 4 % 2) for n in range(32 * 32)])
    striped.save(tmp_path / "striped.png")
    return [*paths, tmp_path / "striped.png"]


def test_the_most_alike_picture_is_found(clip: ImageEmbedder, files: list[Path]) -> None:
    """A picture finds itself first; a text finds pictures by the model's own likeness; both
    beside a memory of texts with vectors of another length."""
    memory = Memory(":memory:", "Bo", embed=lambda texts: clip.text_vectors(texts)[:, :7])
    memory.remember("Ada asked for a loaf of rye", at=NOW)
    images = Images(memory, clip)
    images.add(files, at=NOW)
    for path in files:
        assert images.find_similar(path, at=NOW)[0].record.episode == path.name
    likeness = clip.image_vectors(files) @ clip.text_vectors(["something red"])[0]
    found = images.find("something red", at=NOW, limit=1)
    assert found[0].record.episode == files[int(likeness.argmax())].name
    assert len(memory) == 1
    assert memory.store.verify() == ()


def test_no_picture_is_refused(clip: ImageEmbedder, files: list[Path], tmp_path: Path) -> None:
    """A file that is no picture is named, and none of the batch is remembered."""
    (tmp_path / "bad.png").write_bytes(b"\x89PNG nothing")
    images = Images(Memory(":memory:", "Bo"), clip)
    with pytest.raises(ModelError, match=r"bad\.png: is not a readable image"):
        images.add([files[0], tmp_path / "bad.png"], at=NOW)
    with pytest.raises(MemoryFault, match="captions"):
        images.add(files, at=NOW, captions=["one"])
    assert len(images.memory) == 0


def test_a_model_of_texts_is_refused(tmp_path: Path) -> None:
    """A model that knows no pictures is refused by name."""
    with pytest.raises(SettingError, match="embeds no images"):
        ImageEmbedder(write_tiny_embedder(tmp_path / "texts"))
