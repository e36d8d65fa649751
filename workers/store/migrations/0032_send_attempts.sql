-- What the provider said of a failed attempt, in its words: at most 1,000 characters, erased with the contact.
ALTER TABLE sluice_core.send_attempts ADD COLUMN error_message text;

-- Senders claim, ask whether they may send, and read the views of sends.
GRANT USAGE ON SCHEMA sluice TO sluice_sender;
