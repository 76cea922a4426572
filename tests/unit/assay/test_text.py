"""What is shown of URLs and of text from elsewhere."""

from __future__ import annotations

import pytest

from assay.redaction import hide_secrets, printable
from assay.text import first_line, shorten

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:s3cr3t@host:5000/x", "http://***@host:5000/x"),
        ("HTTPS://s3cr3t@host/x", "HTTPS://***@host/x"),
        ("https://s3cr3t:@host/x", "https://***@host/x"),
        ("redis://:s3cr3t@host:1", "redis://***@host:1"),
        ("postgresql+psycopg://me:a@b/c#d?s3cr3t@host/db", "postgresql+psycopg://***@host/db"),
        ("postgresql://me:a s3cr3t@host/db", "postgresql://***@host/db"),
        ("http://me:'s3cr3t\"@host/x", "http://***@host/x"),
        ("simplecache::s3://AKIAABCDEFGHIJKLMNOP:s3cr3t/a+b@bucket/x", "simplecache::s3://***@bucket/x"),
        ("me:s3cr3t@proxy:3128", "***@proxy:3128"),
        ("//me:s3cr3t@host/x", "//***@host/x"),
        ("http:/me:s3cr3t@host/x", "http:/***@host/x"),
        ("http:///me:s3cr3t@host/x", "http:///***@host/x"),
        ("s3:/key:s3cr3t@bucket/x", "s3:/***@bucket/x"),
        ("http://host/x?pw=s3cr3t", "http://host/x?pw=***"),
        ("http://host/x?token=s3cr3t&page=3", "http://host/x?token=***&page=3"),
        ("postgresql://host/db?sslmode=require&sslpassword=s3cr3t", "postgresql://host/db?sslmode=require&sslpassword=***"),
        ("https://host/x#access_token=s3cr3t", "https://host/x#access_token=***"),
        ("s3://b/x?X-Amz-Credential=AKIAABCDEFGHIJKLMNOP%2Fx&X-Amz-Signature=s3cr3t", "s3://b/x?X-Amz-Credential=***&X-Amz-Signature=***"),
        ("https://hooks.slack.com/services/T/B/s3cr3t", "https://hooks.slack.com/***"),
        ("https://discord.com/api/webhooks/1/s3cr3t", "https://discord.com/api/***"),
        ("https://x.webhook.office.com/webhookb2/s3cr3t", "https://x.webhook.office.com/***"),
        ("https://acc.blob.core.windows.net/c?sv=2022&sig=s3cr3t%3D", "https://acc.blob.core.windows.net/c?sv=2022&sig=***"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_secrets_alone_and_in_a_sentence(url: str, shown: str) -> None:
    assert hide_secrets(url) == shown
    assert hide_secrets(shown) == shown
    for sentence in ("cannot open '{}': refused", "(Caused by {}).", "from {} to http://a:b@c, twice"):
        told = hide_secrets(sentence.format(url))
        assert SECRET not in told
        assert told == sentence.format(shown).replace("a:b@", "***@")


@pytest.mark.parametrize(
    "text",
    [
        *("sqlite:////home/a b/c@d:e/mlflow.db", "sqlite:///x.db?mode=ro", "/data/a:b@c/d", "runs/a:b@c", "C:\\x"),
        *("s3://bucket/a@b", "s3://bucket/a:b@c", "abfs://container@account.dfs.core.windows.net/x", "file:///a:b@c"),
        *("http://host:8080/a@b", "http://[::1]:5000/a@b", "sftp://me@host/x", "http://head:8265", "databricks"),
        *("http://127.0.0.1:5000/#/experiments/1?searchFilter=tags.x&orderByAsc=false", "memory://x", ""),
        "MLflow at http://host:5000: refused; ask me@host",
        "sweeps/study.yaml:7: config.train.steps: got 3, allowed: 1",
        "Client(address, token=…)",
    ],
)
def test_what_has_no_secret_is_shown_as_it_is(text: str) -> None:
    assert hide_secrets(text) == text


@pytest.mark.parametrize("text", ["a" * 200_000, "?key" * 50_000, "a://b:" * 30_000, "x:" * 100_000, "@" * 200_000])
def test_long_text_is_no_trouble(text: str) -> None:
    assert hide_secrets(text) == text


def test_what_a_terminal_obeys_is_spelled_out() -> None:
    assert printable("\x1b[31mred\x1b[0m\x00 \x9b2J\x7f\r\n\tend") == "\\x1b[31mred\\x1b[0m\\x00 \\x9b2J\\x7f\\r\n\tend"
    assert printable("gnp.\u202etxt \u2066a\u2069 \u2028 \udc80\ufeff") == (
        "gnp.\\u202etxt \\u2066a\\u2069 \\u2028 \\udc80\\ufeff"
    )
    assert printable("a\nassay: done\t\r", is_line=True) == "a\\nassay: done\\t\\r"
    for kept in ("AdaGN + σ², naïve 日本 👩‍👩‍👧", "-0.5", "[bold]", "\\x1b", "=1+1"):
        assert printable(kept, is_line=True) == kept


def test_an_error_in_one_line() -> None:
    error = ValueError("no http://me:s3cr3t@host\nand more of it")
    assert first_line(error) == "no http://***@host"
    assert first_line(error, with_type=True) == "ValueError: no http://***@host"
    assert first_line(KeyError()) == first_line(KeyError(), with_type=True) == "KeyError"
    assert len(first_line(ValueError("a" * 5000))) == 300


def test_a_text_is_shortened_to_what_there_is_room_for() -> None:
    assert shorten("a" * 60) == "a" * 60
    assert shorten("a" * 61) == "a" * 59 + "…"
    assert shorten("abcdef", 5, " …") == "abc …"
