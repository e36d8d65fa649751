"""Speed, measured side by side in one run: these machines are shared, so only ratios mean something."""
