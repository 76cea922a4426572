"""Where a store may be: a folder however it is spelled, or a URL; anything else is refused in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from assay.errors import StoreError, UserError
from assay.home import Home
from assay.jobs.places import locations
from assay.store import Store
from assay.store.url import resolve


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        *(("store", "store"), ("./a/../store/", "a/../store"), ("~/store", "me/store"), ("with space", "with space")),
        *(("50%25", "50%25"), ("a#b?c", "a#b?c"), ("a::b", "a::b"), ("simplecache::x", "simplecache::x"), ("ü", "ü")),
    ],
)
def test_a_folder_is_where_the_user_stands(
    given: str, folder: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", given)
    home = Home.default()
    assert home.store_url == str(here / folder)
    assert home.scratch_url == str(here / folder / "ray")
    (here / "a").mkdir()
    Store(home.store_url).files.write_record("studies/x", {})
    assert (here / folder / "studies" / "x").is_file()


def test_the_url_of_a_folder_is_that_folder(here: Path) -> None:
    for url in (f"file://{here}/a", f"file://{here}/a/", f"file:{here}/a", f"local://{here}/a", (here / "a").as_uri()):
        assert resolve(url) == str(here / "a")
    assert resolve((here / "50% #1?").as_uri()) == str(here / "50% #1?")
    assert resolve("s3://bucket/assay//") == "s3://bucket/assay"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        *(("ftp://host/x", "ftp:// is not an object store"), ("https://host/x", "https:// is not an object store")),
        *(("nosuch://host/x", "nosuch:// is an unknown scheme"), ("s3:/bucket/x", "a URL starts with s3://")),
        *(
            ("s3:bucket", "a URL starts with s3://"),
            ("s3://", "it names no bucket"),
            ("file://host/x", "three slashes"),
        ),
        *(("~nobody-at-all/x", "there is no such user"), ("a\nb", "a character that folder names cannot have")),
    ],
)
def test_what_can_be_no_store_is_refused_with_what_is_allowed(
    url: str, why: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_STORE", url)
    with pytest.raises(
        StoreError,
        match=r"^cannot open the store .*allowed: a folder, or the URL of an object store that fsspec knows: .*$",
    ) as refusal:
        _ = Home.default().store_url
    assert why in str(refusal.value)
    for name, store in (("--store", url), ("ASSAY_STORE", None)):
        with pytest.raises(
            UserError, match=rf"{name}: got .*, allowed: an absolute path on the cluster's machines, or a URL"
        ):
            locations(store)


def test_a_job_is_not_sent_to_another_store_than_this_shell_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_STORE", "store")
    with pytest.raises(
        UserError, match="ASSAY_STORE: got 'store', allowed: an absolute path on the cluster's machines"
    ):
        locations(None)
    assert locations("file:///shared/assay/").results == locations("/shared/assay").results == "/shared/assay"


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(
        StoreError, match=r"cannot open the store 's3://bucket/x': Install s3fs to access S3; allowed: "
    ):
        Store("s3://bucket/x")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match=r"cannot read the store .*/store: .* is not a folder"):
        Store(tmp_path / "store").get("0" * 32)
    with pytest.raises(StoreError, match="cannot write to the store"):
        Store(tmp_path / "store").probe()
