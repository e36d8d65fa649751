"""Connectors: receivers turn webhooks into records, senders turn dispatches into calls of providers."""
