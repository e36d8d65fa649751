"""Workflow engines beside Sluice: what `workflows.control` tells is given to an engine, at least once."""
