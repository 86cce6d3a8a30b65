from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import parsing
from retrieval.errors import RetrievalError
from tests.unit.retrieval.documents import pdf

PAGE = (
    "<html><head><title>Refund policy</title></head><body><nav><ul><li><a href='/'>Home</a></li></ul></nav>"
    "<main><h1>Refunds</h1>"
    + "".join(
        f"<p>Paragraph {n} says that refunds are <b>possible</b> within {n} days.</p>" for n in range(9)
    )
    + "<table><tr><th>Item</th><th>Days</th></tr><tr><td>Shoes</td><td>30</td></tr></table>"
    "<script>var secret = 1</script></main></body></html>"
)


def text_of(data: bytes, name: str) -> str:
    return parsing.parse(data, name=name).text


def refusal(data: bytes, name: str, *, max_bytes: int = parsing.MAX_BYTES) -> RetrievalError:
    with pytest.raises(RetrievalError) as caught:
        parsing.parse(data, name=name, max_bytes=max_bytes)
    return caught.value


def test_plain_text_keeps_its_letters_and_gets_plain_line_ends() -> None:
    assert text_of(b"one\r\ntwo\rthree", "a.txt") == "one\ntwo\nthree"


def test_a_heading_is_the_title_of_markdown() -> None:
    parsed = parsing.parse(b"intro\n\n# The title #\n\nbody", name="a.md")

    assert (parsed.text.startswith("intro"), parsed.metadata) == (True, {"title": "The title"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings_are_recognised(encoding: str) -> None:
    text = "Größere Übergänge fährt man über Köln nach München. " * 20

    assert text_of(text.encode(encoding), "a.txt") == text


def test_html_declares_its_encoding() -> None:
    assert "Привет" in text_of("<meta charset=windows-1251><p>Привет, мир</p>".encode("cp1251"), "a.html")


def test_the_content_of_a_page_is_kept_and_its_scripts_are_not() -> None:
    parsed = parsing.parse(PAGE.encode(), name="a.html")

    assert parsed.metadata["title"] == "Refund policy"
    assert "Paragraph 8 says that refunds are possible within 8 days." in parsed.text
    assert "Shoes" in parsed.text
    assert "secret" not in parsed.text


def test_a_fragment_of_html_is_read() -> None:
    assert text_of(b"<p>just <i>one", "a.html") == "just one"


def test_pdf_pages_become_text() -> None:
    parsed = parsing.parse(pdf("Hello world", "Second page"), name="a.pdf")

    assert parsed.text == "Hello world\n\nSecond page"
    assert parsed.metadata == {"pages": 2}


def test_pdfs_are_read_by_many_threads_at_once() -> None:
    data, texts = pdf(*["Hello world"] * 20), []
    threads = [threading.Thread(target=lambda: texts.append(text_of(data, "a.pdf"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(texts) == 8
    assert len(set(texts)) == 1


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"hello", "a.pdf", "not a PDF (it starts with 'hello')"),
        (b"<html>", "a.pdf", "not a PDF"),
        (pdf("secret", password="pw"), "a.pdf", "encrypted"),
        (pdf("cut")[:300], "a.pdf", "damaged"),
        (b"%PDF-1.4 nonsense" * 99, "a.pdf", "damaged"),
        (pdf(""), "a.pdf", "no text: it may be a scan"),
        (b"", "a.txt", "empty"),
        (b" \n\t ", "a.md", "empty"),
        (b"a\0b", "a.txt", "NUL bytes"),
        (bytes(range(256)) * 9, "a.txt", "encoding"),
        (b"\x89PNG\r\n", "a.md", "a PNG image, not text"),
        (b"PK\x03\x04", "a.html", "a zip archive or an office file"),
        (b"%PDF-1.4", "a.txt", "a PDF, not text"),
        (b"x", "a.docx", "not supported (supported: md, txt, html, pdf)"),
        (b"x", "noending", "not supported"),
        (b"<script>1</script>", "a.html", "no text"),
        (b"<!--" * 100, "a.html", "no text"),
    ],
)
def test_unreadable_documents_say_why(data: bytes, name: str, says: str) -> None:
    error = refusal(data, name)

    assert error.code == "unreadable_document"
    assert says in error.message
    assert error.of_document


def test_documents_over_the_limits_are_refused() -> None:
    assert refusal(b"x" * 101, "a.txt", max_bytes=100).code == "too_large"
    assert refusal(b"x" * (parsing.MAX_HTML_BYTES + 1), "a.html").code == "too_large"


def test_two_hundred_megabytes_are_refused_at_once() -> None:
    data = bytes(200 * 1024 * 1024)
    started = time.process_time()

    assert refusal(data, "a.pdf").code == "too_large"
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "data",
    [
        b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000,
        b"<p>w</p>" * 100_000,
        b"<a " + b"x=1 " * 200_000 + b">text",
        b"<" * 300_000 + b"text",
        b"<!--" * 200_000,
        b"&lt;" * 200_000,
        b"<table>" * 50_000 + b"cell",
        b"<b><i><p>" * 30_000 + b"text",
        b"<title>" * 50_000 + b"text",
    ],
)
def test_hostile_html_ends_soon(data: bytes) -> None:
    started = time.process_time()
    with suppress(RetrievalError):
        parsing.parse(data, name="a.html")
    assert time.process_time() - started < 3


@given(st.binary(max_size=400), st.sampled_from(["a.txt", "a.md", "a.html", "a.pdf", "a.bin"]))
def test_any_bytes_give_text_or_a_reason(data: bytes, name: str) -> None:
    try:
        parsed = parsing.parse(b"%PDF-1.4\n" + data if name == "a.pdf" else data, name=name)
    except RetrievalError:
        return
    assert parsed.text.strip()
    assert "\0" not in parsed.text
    parsed.text.encode()
