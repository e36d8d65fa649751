-- How far compaction repair compared compacted topics with the rows.

-- name: positions
SELECT partition, next_offset FROM compaction_positions WHERE topic = $1

-- name: move
INSERT INTO compaction_positions (topic, partition, next_offset)
SELECT $1, partition, next_offset FROM unnest($2::int[], $3::bigint[]) AS t (partition, next_offset)
ORDER BY partition
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset

-- name: forget
DELETE FROM compaction_positions
