-- How far compacted topics were compared with the rows.

-- name: positions
SELECT partition, next_offset FROM tails WHERE topic = $1

-- name: move
INSERT INTO tails (topic, partition, next_offset)
SELECT $1, partition, next_offset FROM unnest($2::int[], $3::bigint[]) AS t (partition, next_offset)
ORDER BY partition
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset

-- name: forget
DELETE FROM tails
