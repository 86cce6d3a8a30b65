"""Name and password. Checks no more than Django's own form does; only the words are ours."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """Name and password; says the same for a wrong name as for a wrong password."""

    error_messages = {
        "invalid_login": "This name and password do not belong together. Check both and try again.",
        "inactive": "This account is switched off. Ask an admin.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Name"
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"
