"""JSON as text, icons, looks of states."""

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from console.drawing import json_text, looks
from console.drawing.icon_names import ICON_NAMES
from workflows import states

ROOT = Path(__file__).resolve().parents[3]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_highlighted_json_is_the_same_text_and_holds_no_markup_of_its_own(value: object) -> None:
    text = json_text.serialise(value)
    drawn = json_text.highlight(text)
    plain = re.sub(r'</?span(?: class="json-(?:key|text|value)")?>', "", drawn)
    assert "<" not in plain
    assert plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(st.text())
def test_cut_off_json_is_drawn_without_markup_of_its_own(text: str) -> None:
    drawn = json_text.highlight(json_text.serialise({"key": text})[:20])
    assert "<" not in re.sub(r'</?span(?: class="json-(?:key|text|value)")?>', "", drawn)


def test_json_that_is_no_json_value_is_still_shown() -> None:
    assert json.loads(json_text.serialise({"at": Path("x")})) == {"at": "x"}


def test_every_state_and_kind_has_a_look() -> None:
    for name in {*states.RUN, *states.STEP, *states.ATTEMPT}:
        assert looks.state_look(name) is looks.STATES[name], name


def test_the_sprite_holds_the_icons_that_are_used_and_no_others() -> None:
    sprite = (ROOT / "console/static/console/vendor/icons.svg").read_text()
    assert re.findall(r'symbol id="([\w-]+)"', sprite) == list(ICON_NAMES)
    sources = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("console/**/*.py")]
    text = "\n".join(path.read_text() for path in sources if path.name != "icon_names.py")
    named = set(re.findall(r'{% icon "([\w-]+)"', text)) | {
        look.icon for look in [*looks.STATES.values(), *looks.KINDS.values()]
    }
    assert named <= set(ICON_NAMES)
