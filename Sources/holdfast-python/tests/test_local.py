"""A URL is refused, and no directory is created for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import holdfast

URLS = ("s3://bucket/x", "gs://bucket", "file:///tmp/x", "hdfs://host:9000/x", Path("s3://bucket/x"))


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_refused_everywhere(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = holdfast.attach()
    run.register(total={"value": 1})
    for call in (run.save, run.load, holdfast.load):
        with pytest.raises(holdfast.HoldfastError, match=r"is a URL.*this machine only"):
            call(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["plain", "with:colon/x", "a:/x", "./s3:/x", "/tmp/no-such/s3:/x"])
def test_paths_with_colons_are_not_urls(name: str) -> None:
    with pytest.raises(holdfast.HoldfastError, match="no such checkpoint"):
        holdfast.load(name)
