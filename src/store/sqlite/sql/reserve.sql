-- $1: slots, one per counter. First what each counter has within its window, and where its oldest slice in use begins.
SELECT s.value ->> 'at', coalesce(sum(c.value), 0), min(c.bucket)
FROM json_each($1) s
LEFT JOIN counters c
    ON c.key = s.value ->> 'key' AND c.width = s.value ->> 'width'
    AND c.bucket BETWEEN s.value ->> 'first' AND s.value ->> 'bucket'
    AND c.value > 0
GROUP BY s.value ->> 'at';

-- Then, where every one of them fits, all are counted. The sums are the same: the transaction holds everybody else off.
INSERT INTO counters (key, width, bucket, value, expires_at)
SELECT s.value ->> 'key', s.value ->> 'width', s.value ->> 'bucket', s.value ->> 'cost', s.value ->> 'expires_at'
FROM json_each($1) s
WHERE NOT EXISTS (
    SELECT 1 FROM json_each($1) o
    WHERE (o.value ->> 'cost') > (o.value ->> 'max') - (
        SELECT coalesce(sum(c.value), 0) FROM counters c
        WHERE c.key = o.value ->> 'key' AND c.width = o.value ->> 'width'
            AND c.bucket BETWEEN o.value ->> 'first' AND o.value ->> 'bucket'
    )
)
ON CONFLICT (key, width, bucket) DO UPDATE
SET value = counters.value + excluded.value, expires_at = max(counters.expires_at, excluded.expires_at);
