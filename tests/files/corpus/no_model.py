"""What lies under the name of a model and is none."""

from __future__ import annotations

import json

from .case import Case, plain_zip

NOT_MODELS: list[Case] = [
    Case("zero bytes", b"", "empty", code="empty"),
    Case(
        "LFS pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:735e\nsize 3\n",
        "lfs pointer",
        code="lfs-pointer",
    ),
    Case("web page", b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page", code="web-page"),
    Case("web page with a mark", b"\xef\xbb\xbf\n<html lang=en>", "web page", code="web-page"),
    Case(
        "XML of a bucket",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "web page",
        code="web-page",
    ),
    Case("JSON error", json.dumps({"error": "Repository not found"}).encode(), "unknown", code="not-a-model"),
    Case("JSON error with a brace in the wrong place", b'{"detai":{"x":1}}', "unknown", code="not-a-model"),
    Case("text", b"Not found\n", "unknown", code="not-a-model"),
    Case("gzip", b"\x1f\x8b\x08\x00" + bytes(range(256)), "unknown", code="other-format"),
    Case("zeros", bytes(100_000), "unknown", code="not-a-model"),
    Case("PNG", b"\x89PNG\r\n\x1a\n" + bytes(100), "unknown", code="other-format"),
    Case("zip of texts", plain_zip("readme.txt"), "unknown", code="zip-without-model"),
    Case(
        "a pickle of Python's own",
        b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.",
        "pickle",
        code="not-a-model",
    ),
    Case("pickle of text instructions", b"(dp0\nS'a'\np1\nI1\ns.", "unknown", code="not-a-model"),
    Case("tar of old torch", b"\0" * 257 + b"ustar" + bytes(300), "pickle", code="old-torch"),
]
