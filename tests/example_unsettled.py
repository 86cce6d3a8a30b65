"""A run that a person has to settle: its worker died after a payment was sent, and before anything was written down."""

from __future__ import annotations

from unittest.mock import patch

from tests.engine import claim, deploy, expire, start
from workflows.engine import commit
from workflows.models import Run

UNKNOWN = "r_0000000000973"
PAY = """
name: pay
description: Charge a customer.
input: {type: object, required: [order]}
output:
  type: object
  required: [payment]
  properties: {payment: {type: string}, amount: {type: integer, minimum: 1}}
http: {method: POST, url: "https://pay.example.com/charges", body: {of: "{{ order }}"}}
effect: once
"""
WORKFLOW = """
name: order-payment
input: {type: object}
steps:
  - {id: paid, tool: pay, with: {order: "{{ input.order }}", amount: 4200, currency: EUR}}
output: "{{ steps.paid.output.payment }}"
"""


def lost_payment() -> Run:
    """Start it, be the worker that sends, and die."""
    name = deploy(WORKFLOW, tools=PAY)
    with patch("workflows.orders.new_run_id", lambda: UNKNOWN):
        paying = start(name, order="A-17")
    assert commit.sending(claim(), {"key": f"{UNKNOWN}-paid-1"})
    expire()
    return paying
