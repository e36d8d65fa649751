"""Gives a running connector a list of trials through its topics, and judges which promises it keeps."""
