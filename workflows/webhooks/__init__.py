"""Webhooks: signed, sent from an outbox, tried again over a day."""
