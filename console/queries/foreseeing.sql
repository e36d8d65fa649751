-- name: region
SELECT default_region FROM sluice.workspace_settings WHERE workspace_id = $1

-- name: channels_named
SELECT channel_id, channel, default_region FROM sluice.channels
WHERE workspace_id = $1 AND (channel_id = $2 OR channel = $2) ORDER BY channel_id

-- name: channel
SELECT channel FROM sluice.channels WHERE workspace_id = $1 AND channel_id = $2

-- name: channels_of_contact
SELECT channel, address FROM sluice.contact_channels WHERE workspace_id = $1 AND contact_id = $2

-- name: may_send_to_contact
SELECT allowed, reason, reasons FROM sluice.may_send($1::text, $2::uuid, $3::text, $4::bytea[])

-- name: may_send_to_address
SELECT allowed, reason, reasons FROM sluice.may_send($1::text, $2::text, $3::text, $4::bytea[])

-- name: impact
SELECT runs, holds, messages, contacts, active_contacts FROM sluice.impact($1, $2)
