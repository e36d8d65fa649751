"""Plays providers over real HTTP and SMTP: takes sends in their API shapes, and signs and delivers webhooks."""
