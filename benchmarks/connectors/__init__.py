"""Speed of receiver and sender, beside bare loops that do the same without HTTP, rules, claims and receipts."""
