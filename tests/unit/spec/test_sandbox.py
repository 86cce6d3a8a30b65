"""Nothing gets out of the sandbox, and nothing in it runs for long."""

import threading
import time

import pytest

from workflows.spec import templates
from workflows.spec.templates import TemplateError

SCOPE = {"x": "a", "n": 7, "m": {"k": 1}, "l": [1, 2], "big": "a" * 1_000_000, "many": list(range(100_000))}

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ m.__init__.__globals__ }}",
    "{{ x | attr('__class__') }}",
    "{{ [x] | map(attribute='__class__') | list }}",
    "{{ [x] | map('attr', '__class__') | list }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__class__}'.format_map(m) }}",
    "{{ '%(a)s' | format(a=x) }}",
    "{{ '%s' % x }}",
    "{{ x.format }}",
    "{{ x.upper }}",
    "{{ l.append(3) }}",
    "{{ m.update({'a': 1}) }}",
    "{{ m.pop('k') }}",
    "{{ l.sort() }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__ }}",
    "{{ lipsum() }}",
    "{{ namespace(a=1) }}",
    "{{ joiner() }}",
    "{{ dict(a=1) }}",
    "{{ [1, 2] | random }}",
    "{{ now() }}",
    "{{ x() }}",
    "{{ (1)(2) }}",
    "{{ x | pprint }}",
    "{{ x | safe }}",
    "{{ x | xmlattr }}",
    "{{ __builtins__ }}",
    "{{ __import__('os') }}",
    "{{ open('/etc/passwd') }}",
    "{{ caller() }}",
    "{{ super() }}",
    "{{ [*l] }}",
    "{{ range(*l) }}",
    "{{ x.join(*l) }}",
    "{{ loop }}",
    "{% for a in l %}{{ loop.__class__ }}{% endfor %}",
    "{% for a in l %}{{ loop._iterable }}{% endfor %}",
    "{% for a in l %}{{ loop }}{% endfor %}",
    "{% for a in l %}{{ loop.cycle(1, 2) }}{% endfor %}",
    "{% for a in l recursive %}{{ loop(l) }}{% endfor %}",
    "{% macro f() %}{% endmacro %}",
    "{% call f() %}{% endcall %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block b %}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set a %}x{% endset %}",
    "{% set m.k = 2 %}",
    "{% set input = 2 %}",
    "{% with a = 1 %}{% endwith %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do l.append(1) %}",
    "{% for steps in l %}{% endfor %}",
]

DOUBLED = "{% set a = [x, x] %}" + "{% set a = [a, a] %}" * 35

BOMBS = [
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ 10 ** 1000 ** 10 }}",
    "{{ 2 ** 100000000 }}",
    "{{ 1 << 1000000000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d' is divisibleby 3 }}",
    "{{ '%1000000000d' is even }}",
    "{{ x | center(1000000000) }}",
    "{{ x.ljust(1000000000) }}",
    "{{ x.zfill(1000000000) }}",
    "{{ big | replace('a', 'a\\n') | indent(1000) }}",
    "{{ big | replace('a', big) }}",
    "{{ big.replace('', big) }}",
    "{{ many | join(big) }}",
    "{{ big.join(many) }}",
    "{{ big.strip(big) }}",
    "{{ big.split('a') | length }}",
    "{{ range(1000000000) }}",
    "{{ range(10 ** 300) }}",
    "{{ many | batch(1, fill_with=1) | map('batch', 100000, 0) | list }}",
    "{{ many | batch(1) | map('batch', 100000, 0) | list }}",
    "{{ many | tojson(indent=1000) }}",
    "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}",
    "{% for a in range(10000) %}{% for b in range(10000) %}{% if b %}{% endif %}{% endfor %}{% endfor %}",
    "{% for a in range(10000) %}{% for b in range(10000) if false %}{% endfor %}{% endfor %}",
    "{% for a in many %}{{ big }}{% endfor %}",
    "{% for a in range(10000) %}{% set b = big ~ a %}{% endfor %}",
    "{% for a in range(10000) %}{% if big.count('aaaaaaaab') %}{% endif %}{% endfor %}",
    "{% for a in range(10000) %}{% if 'aaaaaaaab' in big %}{% endif %}{% endfor %}",
    "{% for a in range(10000) %}{% if many == many[:] %}{% endif %}{% endfor %}",
    "{% for a in range(10000) %}{% if many | sort %}{% endif %}{% endfor %}",
    "{% set a = x %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    DOUBLED + "{{ a }}",
    DOUBLED + "{{ a | tojson | length }}",
    DOUBLED + "{{ a == a }}",
    DOUBLED + "{{ a == [a[0], a[1]] }}",
    DOUBLED + "{{ a in [a] }}",
    DOUBLED + "{{ [a, a] | unique }}",
    DOUBLED + "{{ [a, a] | sort }}",
    DOUBLED + "{{ [a, a].index([a[0], a[0]]) }}",
    DOUBLED + "{{ [a] | map('string') | list }}",
    DOUBLED + "{{ x is eq(a) }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "[" * 500 + "]" * 500 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ x" + ".a" * 5000 + " }}",
    "{{ " + "1+" * 5000 + "1 }}",
    "{{ " + "1 if 1 else " * 3000 + "1 }}",
    "{{ x" + "|upper" * 5000 + " }}",
    "{% for a in l %}" * 30 + "{% endfor %}" * 30,
    "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
    "{{ " + "9" * 10000 + " }}",
    "{{ 1e999 }}",
    "{{ 1" + "0" * 5000 + " | string }}",
    "{{ '" + "1" * 100000 + "' | int }}",
    "{{ x | round(100000000) }}",
    "{{ 1.5 | round(-100000000) }}",
    "{{ n | round(300, 'ceil') | int ** 900 }}",
    "x" * 300_000 + "{{ x }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_escape_is_refused(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        templates.render(template, SCOPE)

    assert caught.value.message


@pytest.mark.parametrize("template", BOMBS, ids=lambda text: text[-60:])
def test_runaway_ends_with_an_error(template: str) -> None:
    started = time.thread_time()

    with pytest.raises(TemplateError):
        templates.render(template, SCOPE)

    assert time.thread_time() - started < 1.5


def test_runaway_ends_in_a_thread_too() -> None:
    failed: list[str] = []

    def work() -> None:
        try:
            templates.render(
                "{% for a in many %}{% for b in range(99) %}{{ b }}{% endfor %}{% endfor %}", SCOPE
            )
        except TemplateError as error:
            failed.append(error.message)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=5)

    assert len(failed) == 1
    assert "it does too much" in failed[0]


def test_every_evaluation_has_a_meter_of_its_own() -> None:
    for _ in range(3):
        assert len(templates.render("{% for a in many[:60000] %}x{% endfor %}", SCOPE)) == 60_000
