"""Tells what happens, as it happens: reads the result topics, and sends each event to those who see its workspace."""
