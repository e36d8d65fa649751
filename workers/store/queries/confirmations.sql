-- name: add
INSERT INTO send_confirmations SELECT * FROM json_populate_recordset(NULL::send_confirmations, $1::json)
ORDER BY workspace_id, send_id, given_by
ON CONFLICT DO NOTHING
