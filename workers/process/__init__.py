"""What every process needs, whatever it does: logs, metrics, health, signals, and tasks that end."""
