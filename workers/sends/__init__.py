"""Outbound: sends from request to receipt. Requests and receipts come in polls, answers with commands."""
