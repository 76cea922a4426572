"""What files hold is read once: hashes of an earlier look are taken where size and times are the same."""

from pathlib import Path

import numpy as np
import pytest

import imaging.contents
from assay.errors import UserError
from assay.look import a_look
from imaging.contents import Files, contents_of, sha256_of

NAMES = [f"{index}.bin" for index in range(12)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(name.encode() * 100)
    return Files(str(folder), NAMES, are_named=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every file is worth keeping the hash of, and old enough."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(imaging.contents, "MOST_UNCACHED_FILES", 1)
    monkeypatch.setattr(imaging.contents, "TICK_NS", -(10**12))
    return tmp_path / "home" / ".cache" / "adm" / "contents"


def stored(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def pretend_another_hash(cache: Path) -> None:
    """As if the third file had changed, and its size and times had not."""
    with np.load(stored(cache)) as found:
        arrays = dict(found)
    arrays["hashes"][2] ^= 1
    np.savez(stored(cache), **arrays)


def test_what_has_its_size_and_times_is_not_read_again(files: Files, cache: Path) -> None:
    before = contents_of(files)
    pretend_another_hash(cache)
    assert contents_of(files).digest != before.digest, "what the cache says is taken"
    path = Path(files.path(2))
    path.write_bytes(path.read_bytes())
    assert contents_of(files).digest == before.digest, "and left where the file is written anew"


def test_files_that_come_and_go_leave_the_others_known(files: Files, cache: Path) -> None:
    contents_of(files)
    pretend_another_hash(cache)
    fewer = Files(files.root, files.names[2:4])
    known = contents_of(fewer).digest
    stored(cache).unlink()
    assert contents_of(fewer).digest != known, "it was known by its name, in another place of the list"


def test_verifying_reads_everything_and_says_what_differs(files: Files, cache: Path) -> None:
    before = contents_of(files)
    with a_look(verifies=True) as look:
        assert contents_of(files) == before
    assert look.remarks == [f"verified: 12 files in {files.root} read whole"]
    pretend_another_hash(cache)
    with a_look(verifies=True) as look:
        assert contents_of(files) == before
    (remark,) = look.remarks
    assert "1 of 12 files" in remark
    assert "same: 2.bin." in remark
    assert contents_of(files) == before, "the cache is right again"


@pytest.mark.parametrize("damage", [b"", b"no npz", b"PK\x03\x04\xff\xff\xff\xff\xff", None])
def test_a_damaged_cache_is_no_trouble(files: Files, cache: Path, damage: bytes | None) -> None:
    before, file = contents_of(files), stored(cache)
    if damage is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(damage + file.read_bytes()[len(damage) :] if damage else b"")
    assert contents_of(files) == before


def test_any_flipped_byte_of_the_cache_changes_nothing(files: Files, cache: Path) -> None:
    before, whole = contents_of(files), stored(cache).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        stored(cache).write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        assert contents_of(files) == before, place


def test_nor_does_a_home_that_cannot_be_written(files: Files, tmp_path: Path) -> None:
    before = contents_of(files)
    for path in sorted((tmp_path / "home").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "home").rmdir()
    (tmp_path / "home").write_bytes(b"a file")
    assert contents_of(files) == before


def test_nor_does_a_user_without_a_home(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents_of(files)
    monkeypatch.setattr(imaging.contents, "CACHE", "~nobody-of-this-name/.cache")
    monkeypatch.chdir(tmp_path)
    assert contents_of(files) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "home"], "nothing is left where one stands"


def test_a_file_that_changed_a_moment_ago_is_not_known_by_its_times(
    files: Files, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaging.contents, "TICK_NS", 10**15)
    assert contents_of(files).times is None
    pretend = Files(files.root, ["2.bin"])
    before = contents_of(pretend).digest
    Path(pretend.path(0)).write_bytes(b"other")
    assert contents_of(pretend).digest != before


def test_names_matter_where_they_are_said_to(files: Files) -> None:
    def digest(are_named: bool) -> str:
        names = sorted(path.name for path in Path(files.root).iterdir())
        return contents_of(Files(files.root, names, are_named=are_named)).digest

    named, in_order = digest(True), digest(False)
    Path(files.path(11)).rename(Path(files.root) / "11.bim")
    assert digest(False) == in_order
    assert digest(True) != named


def test_one_file(files: Files) -> None:
    assert sha256_of(Path(files.path(2))) == "3e9429d6ee7f28cf522cce4a8c79a28bf095a226410e3eb45eff0060700d0a08"
    with pytest.raises(UserError, match=r"none\.bin cannot be read: No such file"):
        sha256_of(Path(files.root) / "none.bin")
