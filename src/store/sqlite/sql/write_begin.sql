-- The first half of a batch: $1 new tasks, $4 idempotency keys. Parameters are JSON arrays, so that the statements stay the same
-- (and prepared) for any number of writes.
BEGIN IMMEDIATE;

INSERT INTO idempotency_keys (workspace_id, account_id, key, task_id, created_at)
SELECT c.value ->> 'workspace_id', c.value ->> 'account_id', c.value ->> 'key', c.value ->> 'task_id', c.value ->> 'created_at'
FROM json_each($4) c
WHERE true
ON CONFLICT (workspace_id, account_id, key) DO UPDATE
SET task_id = excluded.task_id, created_at = excluded.created_at
WHERE excluded.created_at >= idempotency_keys.created_at + $5;

-- Which of the new tasks give way to an earlier one.
SELECT c.value ->> 'task_id', k.task_id
FROM json_each($4) c
CROSS JOIN idempotency_keys k
WHERE k.workspace_id = c.value ->> 'workspace_id'
    AND k.account_id = c.value ->> 'account_id'
    AND k.key = c.value ->> 'key'
    AND k.task_id <> c.value ->> 'task_id';

INSERT INTO tasks (
    id, workspace_id, account_id, session_id, client_id, status, runtime_id, timeout_ms, created_at, metadata, code
)
SELECT
    c.value ->> 'id', c.value ->> 'workspace_id', c.value ->> 'account_id', c.value ->> 'session_id', c.value ->> 'client_id',
    'queued', c.value ->> 'runtime_id', c.value ->> 'timeout_ms', c.value ->> 'created_at', c.value ->> 'metadata', c.value ->> 'code'
FROM json_each($1) c
WHERE c.value ->> 'key' IS NULL
    OR NOT EXISTS (
        SELECT 1 FROM idempotency_keys k
        WHERE k.workspace_id = c.value ->> 'workspace_id'
            AND k.account_id = c.value ->> 'account_id'
            AND k.key = c.value ->> 'key'
            AND k.task_id <> c.value ->> 'id'
    );
