-- Every confirmation of a hold, and every answer that came with a request.
CREATE VIEW sluice.send_confirmations AS
SELECT workspace_id, send_id, confirmed_by, role, confirmed_at, encode(content_sha256, 'hex') AS content_sha256, reasons, outcome
FROM sluice_core.send_confirmations;

GRANT SELECT ON sluice.send_confirmations TO sluice_sender;
