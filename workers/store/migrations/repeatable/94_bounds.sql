-- What is proven of a cycle, and what it can still come to: each unread record may make one more contact active. `as_of`: the ends of the
-- input are as of then; null: nobody has read them yet.
CREATE VIEW sluice.mac_bounds AS
SELECT c.workspace_id, c.cycle_start, c.active_contacts AS at_least,
    CASE c.status WHEN 'closed' THEN c.active_contacts ELSE c.active_contacts + u.unread END AS at_most,
    CASE c.status WHEN 'closed' THEN c.closed_at ELSE u.as_of END AS as_of
FROM sluice.mac_counts c
CROSS JOIN (
    SELECT sum(greatest(e.end_offset - coalesce(p.next_offset, 0), 0))::bigint AS unread, min(e.read_at) AS as_of
    FROM sluice_core.input_ends e
    LEFT JOIN sluice_core.progress p ON p.topic = e.topic AND p.partition = e.partition
    WHERE e.topic IN ('messages.inbound', 'messages.receipts')
) AS u;

GRANT SELECT ON sluice.mac_bounds TO sluice_billing;
