"""`make bench`: figures, each beside a baseline in the same run. docs/performance.md says what each row means."""

from tests import standalone

standalone.set_up(durable=True)
