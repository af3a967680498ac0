-- $4: idempotency keys of new tasks. A key that is held by an earlier task stays with it, unless it has run out ($5 nanoseconds).
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
