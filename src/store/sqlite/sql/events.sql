-- $3: events of tasks that have not ended; `k` counts within the batch.
INSERT INTO events (task, seq, at, kind, call, data)
SELECT
    t.n, coalesce((SELECT max(e.seq) FROM events e WHERE e.task = t.n), 0) + (c.value ->> 'k'),
    c.value ->> 'at', c.value ->> 'kind', c.value ->> 'call', c.value ->> 'data'
FROM json_each($3) c
CROSS JOIN tasks t
WHERE t.id = c.value ->> 'id' AND t.completed_at IS NULL;
