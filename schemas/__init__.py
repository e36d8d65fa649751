"""What travels between Sluice and others: topics, records, ids, decoding. Pure: it imports nothing of `workers`."""
