"""The forms of the settings pages: shapes and words. What is allowed is the services' business."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib.auth.forms import PasswordChangeForm

from console.models import Role

ROLES: Final = (
    (Role.VIEWER, "Viewer", "Looks at everything"),
    (Role.OPERATOR, "Operator", "also starts, cancels, retries and settles runs"),
    (Role.EDITOR, "Editor", "also applies definitions, adds documents"),
    (Role.ADMIN, "Admin", "also manages members and tokens"),
)
_CHOICES: Final = [(role.value, f"{label}: {may}") for role, label, may in ROLES]
EXPIRIES: Final = {
    "7": "In 7 days",
    "30": "In 30 days",
    "90": "In 90 days",
    "365": "In a year",
    "never": "Never",
}


class _Plain(forms.Form):
    """Every control looks like ours; none is filled in by the browser."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs |= {"class": "input", "autocomplete": "off"}


class MemberForm(_Plain):
    """Somebody new."""

    name = forms.CharField(max_length=60, label="Name", help_text="Letters, digits and @ . + - _")
    role = forms.ChoiceField(choices=_CHOICES, initial=Role.OPERATOR.value, label="Role")


class TokenForm(_Plain):
    """A new API token."""

    name = forms.CharField(max_length=100, label="Name", help_text="What it is for, such as billing service")
    role = forms.ChoiceField(choices=_CHOICES, initial=Role.OPERATOR.value, label="Role")
    expires = forms.ChoiceField(choices=list(EXPIRIES.items()), initial="90", label="Ends")

    def expires_at(self, now: datetime) -> datetime | None:
        """Return when it ends; None: never."""
        chosen = self.cleaned_data["expires"]
        return None if chosen == "never" else now + timedelta(days=int(chosen))


class OwnPasswordForm(PasswordChangeForm):
    """The old password and, twice, a new one; the rules are Django's validators."""

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_incorrect": "This is not your present password. Type it again.",
        "password_mismatch": "The two new passwords differ. Type them again.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Present password"
        self.fields["new_password1"].label = "New password"
        self.fields["new_password1"].help_text = "At least 10 characters."
        self.fields["new_password2"].label = "New password again"
        for field in self.fields.values():
            field.widget.attrs |= {"class": "input"}
            field.widget.attrs.pop("autofocus", None)
