"""Reads `sends.dispatch`, claims each attempt, calls the provider, and produces the receipt."""
