"""`make chaos SECONDS=N`: break everything at random under load, then prove that nothing was lost or done twice."""

from tests.standalone import set_up

set_up(durable=False)
