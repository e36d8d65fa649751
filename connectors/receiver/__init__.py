"""Receives webhooks and mails, and produces what they say."""
