"""The file tools: inside one folder, and nowhere else."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from denizens.core import SettingError
from denizens.tools import file_tools
from hypothesis import given
from hypothesis import strategies as st

SECRET = "the canary sings"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secret beside it, and everything in it that could lead there."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "inner-evil").mkdir()
    (tmp_path / "inner-evil" / "secret.txt").write_text(SECRET)
    inner = tmp_path / "inner"
    (inner / "sub").mkdir(parents=True)
    (inner / "a.txt").write_text("hello")
    (inner / "sub" / "b.txt").write_text("deeper")
    (inner / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inner / "relative.txt").symlink_to("../secret.txt")
    (inner / "out").symlink_to(tmp_path)
    (inner / "root").symlink_to("/")
    (inner / "sub" / "up").symlink_to("..")
    (inner / "ring").symlink_to("ring")
    (inner / "proc").symlink_to("/proc/self")
    os.mkfifo(inner / "pipe")
    return inner


ESCAPES = (
    *("../secret.txt", "sub/../../secret.txt", "./../secret.txt", "..", "../", "sub/../..", "..//"),
    *("../inner-evil/secret.txt", "../inner/../secret.txt", "sub/..", "a.txt/../../secret.txt"),
    *("/etc/passwd", "//etc/passwd", "/", "///secret.txt", "/proc/self/environ", "/dev/zero"),
    *("C:\\secret.txt", "C:/secret.txt", "c:secret.txt", "\\\\host\\share", "..\\secret.txt"),
    *("sub\\..\\..\\secret.txt", "\\secret.txt", "~/secret.txt", "~root/x", "~", "a.txt\0.png"),
    *("../secret.txt\0", "\0", "link.txt", "relative.txt", "out/secret.txt", "root/etc/passwd"),
    *("sub/up/../../secret.txt", "sub/up/a.txt", "ring", "ring/secret.txt", "proc/environ"),
    *("out/inner/a.txt", "pipe", "sub", "", ".", "a.txt/b", "no.txt", "file:///etc/passwd"),
    *("%2e%2e/secret.txt", "..%2fsecret.txt", "..\u2215secret.txt", "\uff0e\uff0e/secret.txt"),
    *("....//secret.txt", "..;/secret.txt", "$HOME/x", "`id`", "x" * 5000, "x/" * 400 + "y"),
    *("\ud800", "\udc80", "sub/\udcff", "x" * 300),
)


@pytest.mark.parametrize("path", ESCAPES)
def test_nothing_outside_is_read(folder: Path, path: str) -> None:
    """Climbing, absolute, linked, NUL and odd paths give an error in words, neither the secret
    nor the folder's own place in it."""
    read_file, list_files = file_tools(folder)
    with pytest.raises(ValueError, match=r"\w") as told:
        read_file(path)
    assert SECRET not in str(told.value)
    assert str(folder.parent) not in str(told.value)
    if path not in ("sub", "", "."):
        with pytest.raises(ValueError, match=r"\w") as told:
            list_files(path)
        assert "secret" not in str(told.value) or "secret" in path


@given(st.lists(st.sampled_from(["..", ".", "", "sub", "up", "out", "inner", "secret.txt", "\\"])))
def test_random_paths_stay_inside(tmp_path_factory: pytest.TempPathFactory, parts: Any) -> None:
    """No mixture of parts reads the secret."""
    base = tmp_path_factory.getbasetemp() / "mixed"
    inner = base / "inner"
    if not base.exists():
        (inner / "sub").mkdir(parents=True)
        (base / "secret.txt").write_text(SECRET)
        (inner / "out").symlink_to(base)
        (inner / "sub" / "up").symlink_to("..")
    read_file, _ = file_tools(inner)
    with pytest.raises(ValueError, match=r"\w"):
        read_file("/".join(parts))


def test_files_inside_are_read_and_listed(folder: Path) -> None:
    """Ordinary files come whole; the list holds files and folders in order, and no links."""
    read_file, list_files = file_tools(folder)
    assert read_file("a.txt")["text"] == "hello"
    assert read_file("./sub//b.txt")["text"] == "deeper"
    assert list_files() == {"path": "", "folders": ["sub"], "files": {"a.txt": 5}, "more": 0}
    assert list_files("sub")["files"] == {"b.txt": 6}
    assert read_file.spec.outside
    assert read_file.spec.effect == list_files.spec.effect == "reads"


def test_a_link_put_there_in_a_race_is_not_followed(folder: Path) -> None:
    """While another process swaps a folder and a file for links to the secret as fast as it
    can, no read of hundreds gives the secret."""
    read_file, _ = file_tools(folder)
    real, link = folder / "real", folder / "swapped"
    real.mkdir()
    (real / "secret.txt").write_text("harmless")
    (folder / "evil").symlink_to(folder.parent)
    (folder / "plain.txt").write_text("harmless")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(real, link)
            os.rename(link, real)
            os.rename(folder / "evil", link)
            os.rename(link, folder / "evil")
            for source, target in (("link.txt", "file.txt"), ("plain.txt", "file.txt")):
                os.rename(folder / source, folder / target)
                os.rename(folder / target, folder / source)

    worker = threading.Thread(target=swap)
    worker.start()
    got: list[str] = []
    try:
        for _ in range(1500):
            for path in ("swapped/secret.txt", "file.txt"):
                try:
                    got.append(read_file(path)["text"])
                except ValueError:
                    continue
    finally:
        stop.set()
        worker.join()
    assert set(got) <= {"harmless"}


def test_devices_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    """What is no ordinary file is refused at once; a pipe would block for ever."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(tmp_path)
        try:
            one.bind("socket")
        finally:
            os.chdir(here)
        read_file, _ = file_tools(tmp_path)
        for path in ("pipe", "socket"):
            with pytest.raises(ValueError, match="no ordinary file"):
                read_file(path)
    devices, _ = file_tools("/dev")
    with pytest.raises(ValueError, match="no ordinary file"):
        devices("zero")


def test_huge_files_come_in_pages(tmp_path: Path) -> None:
    """Of a file of 8 GB one page is read, from any place, with where the rest begins."""
    huge = tmp_path / "huge.log"
    with open(huge, "wb") as file:
        file.write(b"start " * 2000)
        file.truncate(8 * 2**30)
        file.seek(0, os.SEEK_END)
        file.write("the énd".encode())
    read_file, list_files = file_tools(tmp_path)
    first = read_file("huge.log")
    assert (len(first["text"]), first["next"], first["size"]) == (8000, 8000, 8 * 2**30 + 8)
    assert read_file("huge.log", offset=8 * 2**30)["text"] == "the énd"
    assert read_file("huge.log", offset=8 * 2**30)["next"] is None
    with pytest.raises(ValueError, match="beyond its end"):
        read_file("huge.log", offset=9 * 2**30)
    with pytest.raises(ValueError, match="binary"):
        read_file("huge.log", offset=10_000)
    with pytest.raises(ValueError, match="before"):
        read_file("huge.log", offset=-1)
    assert list_files()["files"] == {"huge.log": 8 * 2**30 + 8}


@given(text=st.text(st.characters(exclude_characters="\0", codec="utf-8")), times=st.integers(1, 9))
def test_pages_make_the_whole(
    tmp_path_factory: pytest.TempPathFactory, text: str, times: int
) -> None:
    """Whatever the text, the pages after one another are the file, no character cut or lost."""
    whole = text * (times * 1000 if len(text) < 30 else times)
    base = tmp_path_factory.getbasetemp() / "pages"
    base.mkdir(exist_ok=True)
    (base / "a.txt").write_bytes(whole.encode())
    read_file, _ = file_tools(base)
    parts: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = read_file("a.txt", offset=offset)
        parts.append(page["text"])
        offset = page["next"]
    assert "".join(parts) == whole.removeprefix("\ufeff")


def test_encodings_are_told(tmp_path: Path) -> None:
    """UTF-16 is known by its mark; other bytes are refused with the names to try."""
    (tmp_path / "a.txt").write_text("grüße", encoding="utf-16")
    (tmp_path / "b.txt").write_text("grüße", encoding="latin-1")
    (tmp_path / "c.bin").write_bytes(bytes(range(256)))
    (tmp_path / "d.txt").write_text("grüße", encoding="utf-8-sig")
    read_file, _ = file_tools(tmp_path)
    assert read_file("a.txt")["text"] == read_file("d.txt")["text"] == "grüße"
    with pytest.raises(ValueError, match="latin-1"):
        read_file("b.txt")
    assert read_file("b.txt", encoding="latin-1")["text"] == "grüße"
    with pytest.raises(ValueError, match="binary"):
        read_file("c.bin")


def test_a_full_folder_is_listed_in_part(tmp_path: Path) -> None:
    """Of many names the first are shown, and how many more there are; odd names are counted."""
    for number in range(250):
        (tmp_path / f"{number:03}.txt").touch()
    (tmp_path / "line\nbreak").touch()
    _, list_files = file_tools(tmp_path)
    listed = list_files()
    assert list(listed["files"]) == [f"{number:03}.txt" for number in range(200)]
    assert listed["more"] == 51


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The tools are not made for a folder that is not there."""
    with pytest.raises(SettingError, match="no folder"):
        file_tools(tmp_path / "nowhere")
