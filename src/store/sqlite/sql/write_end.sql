-- The second half of a batch: $2 changes, one per task, and $3 their events. All of it passes over tasks that have ended, and the
-- update comes last because it is what ends them.
INSERT INTO events (task, seq, at, kind, data)
SELECT
    t.n, coalesce((SELECT max(e.seq) FROM events e WHERE e.task = t.n), 0) + (c.value ->> 'k'),
    c.value ->> 'at', c.value ->> 'kind', c.value ->> 'data'
FROM json_each($3) c
CROSS JOIN tasks t
WHERE t.id = c.value ->> 'id' AND t.completed_at IS NULL;

INSERT INTO results (task, part, bytes)
SELECT t.n, 0, CAST(c.value ->> 'result' AS BLOB)
FROM json_each($2) c
CROSS JOIN tasks t
WHERE t.id = c.value ->> 'id' AND t.completed_at IS NULL AND c.value ->> 'result' IS NOT NULL;

-- Which of the changes come too late.
SELECT c.value ->> 'id', NULL
FROM json_each($2) c
LEFT JOIN tasks t ON t.id = c.value ->> 'id'
WHERE t.n IS NULL OR t.completed_at IS NOT NULL;

UPDATE tasks SET
    status = coalesce(c.value ->> 'status', tasks.status),
    started_at = coalesce(c.value ->> 'started_at', tasks.started_at),
    completed_at = c.value ->> 'completed_at',
    exit_code = c.value ->> 'exit_code',
    result_bytes = c.value ->> 'result_bytes',
    error = c.value ->> 'error',
    warnings = c.value ->> 'warnings',
    usage = c.value ->> 'usage',
    logs = c.value ->> 'logs'
FROM json_each($2) c
WHERE tasks.id = c.value ->> 'id' AND tasks.completed_at IS NULL;

COMMIT;
