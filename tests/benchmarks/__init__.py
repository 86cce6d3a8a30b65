"""`make bench`: figures, each beside a baseline in the same run. docs/performance.md says what each row means."""

from tests.standalone import set_up

set_up(durable=True)
