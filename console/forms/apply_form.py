"""What the page for applying files sends: texts that were pasted or kept, and files. Shape only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest

from console import formats
from workflows.spec.documents import Media, SourceText

PASTED: Final = "pasted text"
MAX_SOURCES: Final = 200
# The texts come back with the plan as fields of its form, which may be 8 MB with everything around them.
MAX_BYTES: Final = 4_000_000
_NAME: Final = 120


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The texts as they were sent, each with its name; `problems` say why some of them could not be kept."""

    texts: tuple[tuple[str, str], ...]
    action: str
    seen: str
    reason: str
    problems: tuple[str, ...] = ()

    @property
    def as_documents(self) -> tuple[SourceText, ...]:
        """The texts as `apply` takes them."""
        return tuple(SourceText(name, text, media(name, text)) for name, text in self.texts)


def read(request: HttpRequest) -> Sources:
    """Read what was sent; files join the texts, so that they can be mended in place."""
    names, bodies = request.POST.getlist("name"), request.POST.getlist("text")
    kept = [
        (_short(name), text.replace("\r\n", "\n"))
        for name, text in zip(names, bodies, strict=False)
        if text.strip()
    ]
    files, problems = _files(request.FILES.getlist("files"), room=MAX_BYTES - sum(len(t) for _, t in kept))
    texts = _apart([*kept, *files])
    if len(texts) > MAX_SOURCES:
        problems.append(f"These are {len(texts):,} files; at most {MAX_SOURCES} are taken at once.")
    return Sources(
        texts=tuple(texts[:MAX_SOURCES]),
        action=request.POST.get("do", "plan"),
        seen=request.POST.get("seen", "")[:64],
        reason=request.POST.get("reason", "").strip(),
        problems=tuple(problems),
    )


def _files(files: Sequence[Any], *, room: int) -> tuple[list[tuple[str, str]], list[str]]:
    """The texts of files, and why others have none: each is named."""
    found, problems = [], []
    for file in files[: MAX_SOURCES + 1]:
        name = _short(file.name or "file")
        if file.size > room:
            problems.append(
                f"{name} has {formats.size(file.size)}: this page takes {formats.size(MAX_BYTES)} in all. "
                "Split it, or apply it from a terminal."
            )
            continue
        try:
            found.append((name, file.read().decode().replace("\r\n", "\n")))
            room -= file.size
        except UnicodeDecodeError as error:
            problems.append(f"{name} is no text in UTF-8: byte {error.start + 1:,} of it does not fit.")
    return found, problems


def _short(name: str) -> str:
    return formats.printable(name.strip()[-_NAME:]) or PASTED


def _apart(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Number names that are there twice, so that every fault names one text."""
    seen: dict[str, int] = {}
    found = []
    for name, text in texts:
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name} ({seen[name]})", text))
    return found


def media(name: str, text: str) -> Media:
    """Tell JSON from YAML: by the name of a file, of a pasted text by how it begins."""
    if name.lower().endswith(".json"):
        return "json"
    start = "".join(text[:200].split())
    pasted = not name.lower().endswith((".yaml", ".yml"))
    return "json" if pasted and start[:2] in {'{"', "[{", "[]"} and _ends_like_json(text) else "yaml"


def _ends_like_json(text: str) -> bool:
    return text.rstrip()[-1:] in {"}", "]"}
