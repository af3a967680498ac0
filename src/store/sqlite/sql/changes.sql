-- $2: changes, one per task. The update comes last in a batch, because it is what ends tasks.
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
    logs = c.value ->> 'logs',
    result = c.value ->> 'result'
FROM json_each($2) c
WHERE tasks.id = c.value ->> 'id' AND tasks.completed_at IS NULL;
