"""Calls providers for the attempts of `sends.dispatch`, and reports what became of them."""
