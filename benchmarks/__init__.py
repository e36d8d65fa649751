"""Speed, measured side by side in one run: machines differ and are shared, so only ratios mean something."""
