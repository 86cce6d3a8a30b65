"""The demo that `manage.py up` loads: real documents, a real (tiny) model, two workflows that use them."""
