-- $1 now, $2 how many at the most.
DELETE FROM counters WHERE (key, width, bucket) IN (
    SELECT key, width, bucket FROM counters WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
);
