"""Turn a file's bytes into text. Pure: no database, no network, no file is opened.

Whatever the bytes are, the outcome is text or a `RetrievalError` that says in plain words what is wrong.
"""

from __future__ import annotations

import codecs
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath
from typing import Final

import charset_normalizer
import lxml.etree  # type: ignore[import-untyped]
import pypdfium2

from retrieval.errors import RetrievalError

# Raised where the same bytes begin to give another text: documents are read again at the next ingest.
VERSION: Final = "1"
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_HTML_BYTES: Final = 16 * 1024 * 1024
MAX_CHARACTERS: Final = 20_000_000
MAX_PAGES: Final = 10_000
# trafilatura's time grows faster than the page: larger ones give their plain text.
MAX_MAIN_TAGS: Final = 10_000
MAIN_SHARE: Final = 0.2

TYPES: Final = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".rst": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
}
_ALIASES: Final = {"text/x-markdown": "text/markdown", "application/xhtml+xml": "text/html"}
_VAGUE: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_MAGIC: Final = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an office file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
)
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIDDEN: Final = frozenset({"script", "style", "noscript", "template", "svg", "title"})
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figure", "footer"}
    | {"form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"}
    | {"section", "table", "td", "th", "tr", "ul"}
)
# PDFium is not thread-safe: one document at a time in a process.
_pdfium = threading.Lock()


@dataclass(frozen=True)
class Parsed:
    """A document's text, with `\\n` line ends, and what it says of itself (`title`, `pages`)."""

    text: str
    metadata: Mapping[str, str | int] = field(default_factory=dict)


def media_type_of(name: str, declared: str = "") -> str:
    """Return the media type that decides how `name` is read: the declared one, else by its ending."""
    kind = declared.partition(";")[0].strip().lower()
    if kind in _VAGUE:
        return TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
    return _ALIASES.get(kind, kind)


def parse(data: bytes, *, name: str, media_type: str = "", max_bytes: int = MAX_BYTES) -> Parsed:
    """Read a document of any supported format.

    Raises: RetrievalError `too_large` or `unreadable_document`.
    """
    kind = media_type_of(name, media_type)
    reader = _READERS.get(kind)
    if reader is None:
        raise _unreadable(name, f"the format {kind} is not supported (supported: md, txt, html, pdf)")
    if len(data) > max_bytes:
        raise _too_large(name, f"it has {len(data):,} bytes; the limit is {max_bytes:,}")
    if not data.strip():
        raise _unreadable(name, "it is empty")
    parsed = reader(data, name)
    if len(parsed.text) > MAX_CHARACTERS:
        raise _too_large(
            name, f"its text has {len(parsed.text):,} characters; the limit is {MAX_CHARACTERS:,}"
        )
    if not parsed.text.strip():
        raise _unreadable(name, "it holds no text")
    return parsed


def _unreadable(name: str, why: str) -> RetrievalError:
    return RetrievalError("unreadable_document", f"{name!r} cannot be read: {why}.")


def _too_large(name: str, why: str) -> RetrievalError:
    return RetrievalError("too_large", f"{name!r} is too large: {why}. Split it into smaller documents.")


def decode(data: bytes, *, name: str, hint: str = "") -> str:
    """Decode text: by its byte order mark, as UTF-8, as `hint` says, else as charset-normalizer guesses."""
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise _unreadable(name, f"it is {what}, not text")
    text = _decoded(data, hint)
    if text is None:
        raise _unreadable(name, "its character encoding is not recognised; save it as UTF-8")
    if "\0" in text:
        raise _unreadable(name, "it contains NUL bytes, so it is not a text file, or its encoding is unknown")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, hint: str) -> str | None:
    marked = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    for encoding in (marked,) if marked else ("utf-8", hint):
        if encoding:
            try:
                return data.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    if marked or b"\0" in data[:65536]:
        return None
    guess = charset_normalizer.from_bytes(data[:65536]).best()
    return data.decode(guess.encoding, errors="replace") if guess else None


def _read_plain(data: bytes, name: str) -> Parsed:
    return Parsed(decode(data, name=name))


def _read_markdown(data: bytes, name: str) -> Parsed:
    text = decode(data, name=name)
    heading = re.search(r"^#[ \t]+(\S.{0,300})$", text[:20_000], re.MULTILINE)
    return Parsed(text, {"title": heading[1].strip(" #\t")} if heading else {})


def _read_html(data: bytes, name: str) -> Parsed:
    if len(data) > MAX_HTML_BYTES:
        raise _too_large(name, f"it has {len(data):,} bytes of HTML; the limit is {MAX_HTML_BYTES:,}")
    declared = re.search(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", data[:4096], re.IGNORECASE)
    html = decode(data, name=name, hint=declared[1].decode() if declared else "")
    page = _Page()
    try:
        lxml.etree.fromstring(
            html.encode(), lxml.etree.HTMLParser(target=page, encoding="utf-8", huge_tree=True)
        )
    except lxml.etree.ParserError as error:
        raise _unreadable(name, "it is not HTML") from error
    plain = page.text()
    main = _main_text(html)
    # Pages that are all content (no navigation to strip) come back from trafilatura cut short, or not at all.
    text = main if len(main) >= MAIN_SHARE * len(plain) else plain
    return Parsed(text, {"title": page.title[:300]} if page.title else {})


def _main_text(html: str) -> str:
    if html.count("<") > MAX_MAIN_TAGS:
        return ""
    import trafilatura  # noqa: PLC0415 - slow to import

    try:
        return trafilatura.extract(html, include_comments=False, include_tables=True) or ""
    except (ValueError, RecursionError, AssertionError, AttributeError, TypeError):
        # Its parser gives up on some broken pages in many ways; the plain text below is the fallback.
        return ""


class _Page:
    """Collect the visible text and the title as lxml parses; keeps no tree, so depth costs nothing."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._title: list[str] = []

    @property
    def title(self) -> str:
        return " ".join("".join(self._title).split())

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._parts).split("\n"))
        return "\n".join(line for line in lines if line)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def end(self, tag: str) -> None:
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def data(self, data: str) -> None:
        if not self._hidden:
            self._parts.append(data)
        elif self._hidden[-1] == "title":
            self._title.append(data)

    def close(self) -> None:
        """Part of the interface of lxml's parser targets."""


def _read_pdf(data: bytes, name: str) -> Parsed:
    if b"%PDF-" not in data[:1024]:
        start = data[:12].decode("latin-1")
        raise _unreadable(name, f"it is not a PDF (it starts with {start!r})")
    try:
        pages = _pdfium_pages(data, name)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise _encrypted(name) from None
        pages = _pypdf_pages(data, name)
    text = "\n\n".join(page.strip() for page in pages)
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    text = text.encode(errors="replace").decode()
    if not text.strip():
        raise _unreadable(name, "it holds no text: it may be a scan; recognise its text (OCR) first")
    return Parsed(text, {"pages": len(pages)})


def _encrypted(name: str) -> RetrievalError:
    return _unreadable(name, "it is encrypted; remove its password first")


def _pdfium_pages(data: bytes, name: str) -> list[str]:
    with _pdfium:
        document = pypdfium2.PdfDocument(data)
        try:
            return _bounded(len(document), lambda index: _pdfium_page(document, index), name)
        finally:
            document.close()


def _pdfium_page(document: pypdfium2.PdfDocument, index: int) -> str:
    page = document[index]
    try:
        content = page.get_textpage()
        try:
            return str(content.get_text_bounded())
        finally:
            content.close()
    finally:
        page.close()


def _pypdf_pages(data: bytes, name: str) -> list[str]:
    """Read what PDFium refuses: pypdf mends broken cross-reference tables."""
    import pypdf  # noqa: PLC0415 - slow to import

    try:
        reader = pypdf.PdfReader(BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise _encrypted(name)
        return _bounded(len(reader.pages), lambda index: reader.pages[index].extract_text(), name)
    except RetrievalError:
        raise
    except Exception as error:  # a parser of hostile bytes fails in any way it likes
        raise _unreadable(name, f"its PDF structure is damaged ({type(error).__name__})") from error


def _bounded(count: int, page: Callable[[int], str], name: str) -> list[str]:
    if count > MAX_PAGES:
        raise _too_large(name, f"it has {count:,} pages; the limit is {MAX_PAGES:,}")
    pages: list[str] = []
    size = 0
    for index in range(count):
        pages.append(page(index))
        size += len(pages[-1])
        if size > MAX_CHARACTERS:
            raise _too_large(name, f"its text has more than {MAX_CHARACTERS:,} characters")
    return pages


_READERS: Final[Mapping[str, Callable[[bytes, str], Parsed]]] = {
    "text/plain": _read_plain,
    "text/markdown": _read_markdown,
    "text/html": _read_html,
    "application/pdf": _read_pdf,
}
