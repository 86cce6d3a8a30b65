"""The page that shows the OpenAPI document: served by us, under the console's own strict policy."""

from __future__ import annotations

import pytest
from django.test import Client

from console.models import User


@pytest.mark.django_db
def test_it_is_for_people_who_signed_in() -> None:
    answer = Client().get("/api/v1/docs/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


@pytest.mark.django_db
def test_it_loads_nothing_from_elsewhere_and_holds_no_script() -> None:
    client = Client()
    client.force_login(User.objects.create_user("vera", role="viewer"))
    answer = client.get("/api/v1/docs/")
    page = answer.content.decode()
    assert "http" not in page.replace("http-equiv", "")
    assert "<style" not in page
    assert "unsafe" not in answer["Content-Security-Policy"]
