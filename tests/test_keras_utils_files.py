"""`get_file`: Keras's places and names, hashes, and archives that try to leave their folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import pytest

from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.data.cached_files import get_file

TEXT = b"some words\n" * 1000


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A folder with a file, a zip and tar files of two files each."""
    folder = tmp_path / "origin"
    (folder / "flowers" / "red").mkdir(parents=True)
    (folder / "flowers" / "a.txt").write_bytes(TEXT)
    (folder / "flowers" / "red" / "b.txt").write_bytes(b"b")
    (folder / "plain.txt").write_bytes(TEXT)
    with zipfile.ZipFile(folder / "flowers.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "flowers").rglob("*")):
            archive.write(path, path.relative_to(folder))
    for name, mode in (
        ("flowers.tar", "w"),
        ("flowers.tar.gz", "w:gz"),
        ("flowers.tgz", "w:gz"),
        ("flowers.tar.bz2", "w:bz2"),
    ):
        with tarfile.open(folder / name, mode) as archive:
            archive.add(folder / "flowers", "flowers")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [
        {"name": "plain.txt"},
        {"name": "plain.txt", "fname": "other.txt"},
        {"name": "plain.txt", "cache_subdir": "deep/er"},
        {"name": "flowers.zip", "extract": True},
        {"name": "flowers.zip", "extract": True, "fname": "pictures.zip"},
        {"name": "flowers.zip", "extract": True, "fname": "pictures"},
        {"name": "flowers.tar.gz", "extract": True},
        {"name": "flowers.tgz", "untar": True, "fname": "flowers.v1.tgz"},
        {"name": "flowers.tar.bz2", "extract": True, "archive_format": "tar"},
        {"name": "flowers.tar", "extract": True},
    ],
    ids=str,
)
def test_files_and_folders_stand_where_keras_puts_them(options: dict[str, Any], origin: Path, tmp_path: Path) -> None:
    options = dict(options)
    address = (origin / options.pop("name")).as_uri()
    found = []
    for k, cache in ((keras.utils.get_file, tmp_path / "theirs"), (get_file, tmp_path / "ours")):
        cache.mkdir()
        path = Path(k(origin=address, cache_dir=str(cache), **options))
        found.append((path.relative_to(cache), tree(cache)))
    assert found[1] == found[0]


def test_a_plain_path_serves_and_is_copied_once(origin: Path, tmp_path: Path) -> None:
    path = Path(get_file(origin=origin / "plain.txt", cache_dir=tmp_path))
    path.write_bytes(b"changed")
    assert get_file(origin=origin / "plain.txt", cache_dir=tmp_path) == str(path)
    assert path.read_bytes() == b"changed"
    get_file(origin=origin / "plain.txt", cache_dir=tmp_path, force_download=True)
    assert path.read_bytes() == TEXT


def test_keras_home_is_the_cache(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    path = Path(get_file(origin=origin / "plain.txt"))
    assert path == tmp_path / "home" / "datasets" / "plain.txt"


@pytest.mark.parametrize(
    ("algorithm", "make"), [("auto", hashlib.sha256), ("sha256", hashlib.sha256), ("auto", hashlib.md5)]
)
def test_hashes_are_checked(algorithm: str, make: Any, origin: Path, tmp_path: Path) -> None:
    good, options = make(TEXT).hexdigest(), {"origin": origin / "plain.txt", "cache_dir": tmp_path}
    path = Path(get_file(file_hash=good.upper(), hash_algorithm=algorithm, **options))
    path.write_bytes(b"damaged since")
    assert Path(get_file(file_hash=good, hash_algorithm=algorithm, **options)).read_bytes() == TEXT  # copied anew
    path.unlink()
    with pytest.raises(DataError, match=f"has the hash {good}, not {good[::-1]}"):
        get_file(file_hash=good[::-1], hash_algorithm=algorithm, **options)
    assert not path.exists()
    assert get_file(md5_hash=hashlib.md5(TEXT).hexdigest(), **options) == str(path)


def test_the_network_is_never_used(origin: Path, tmp_path: Path) -> None:
    place = tmp_path / "datasets" / "data.csv"
    with pytest.raises(DataError, match=f"load https://a.org/data.csv by yourself, save it as {place}"):
        get_file(origin="https://a.org/data.csv", cache_dir=tmp_path)
    place.write_bytes(TEXT)
    assert get_file(origin="https://a.org/data.csv", cache_dir=tmp_path) == str(place)
    with pytest.raises(DataError, match="has another hash than the one given: load"):
        get_file(origin="https://a.org/data.csv", cache_dir=tmp_path, file_hash="0" * 64)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "needs origin="),
        ({"origin": "https://a.org/"}, "does not end in a file name"),
        ({"origin": "x", "fname": "../x"}, "fname is a name, not a path"),
        ({"origin": "x", "hash_algorithm": "crc"}, "hash_algorithm"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=match):
        get_file(cache_dir=tmp_path, **options)


def test_files_that_do_not_serve(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"):
        get_file(origin=origin / "none.txt", cache_dir=tmp_path)
    with pytest.raises(DataError, match="is no tar or zip file; leave extract out"):
        get_file(origin=origin / "plain.txt", cache_dir=tmp_path, extract=True)
    with pytest.raises(UnknownNameError, match="archive_format"):
        get_file(origin=origin / "flowers.zip", cache_dir=tmp_path, extract=True, archive_format="rar")
    cut = origin / "cut.tar.gz"
    cut.write_bytes((origin / "flowers.tar.gz").read_bytes()[:-60])
    with pytest.raises(DataError, match=r"cannot be unpacked .*it is damaged"):
        get_file(origin=cut, cache_dir=tmp_path, extract=True)
    assert not list((tmp_path / "datasets").glob("*.part"))
    assert not (tmp_path / "datasets" / "cut.tar.gz").exists()


# ── Archives that try to leave ──────────────────────────────────────────────────────────────────────────────────────


def bad_tar(path: Path, name: str, **attributes: Any) -> None:
    with tarfile.open(path, "w") as archive:
        good, member = tarfile.TarInfo("good.txt"), tarfile.TarInfo(name)
        good.size = member.size = 3
        for key, value in attributes.items():
            setattr(member, key, value)
        archive.addfile(good, io.BytesIO(b"abc"))
        archive.addfile(member, io.BytesIO(b"abc"))


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("../escaped.txt", {}),
        ("a/../../escaped.txt", {}),
        ("/tmp/escaped.txt", {}),
        ("..\\escaped.txt", {}),
        ("C:\\escaped.txt", {}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc", "size": 0}),
        ("link", {"type": tarfile.LNKTYPE, "linkname": "../../x", "size": 0}),
        ("pipe", {"type": tarfile.FIFOTYPE, "size": 0}),
    ],
    ids=str,
)
def test_tar_members_that_leave_are_refused_and_nothing_is_unpacked(
    name: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    bad_tar(tmp_path / "bad.tar", name, **attributes)
    with pytest.raises(DataError, match="nothing was unpacked"):
        get_file(origin=tmp_path / "bad.tar", cache_dir=tmp_path / "cache", extract=True)
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["bad.tar_archive"]
    assert not list(tmp_path.rglob("escaped.txt"))


@pytest.mark.parametrize("name", ["../escaped.txt", "/escaped.txt", "a/../../escaped.txt", "link"])
def test_zip_members_that_leave_are_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = (0o120777 if name == "link" else 0o644) << 16
        archive.writestr("good.txt", "abc")
        archive.writestr(member, "/etc")
    with pytest.raises(DataError, match="nothing was unpacked"):
        get_file(origin=tmp_path / "bad.zip", cache_dir=tmp_path / "cache", extract=True)
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not list(tmp_path.rglob("good.txt"))


def test_an_archive_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dougong.data.cached_files._FREE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    with pytest.raises(DataError, match="grows more than 200 times"):
        get_file(origin=tmp_path / "bomb.zip", cache_dir=tmp_path / "cache", extract=True)
