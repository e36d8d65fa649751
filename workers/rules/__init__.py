"""The rules: plain functions from data to data. No await, no client, no clock, no logging; the time is an argument."""
