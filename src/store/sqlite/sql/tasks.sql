-- $1: new tasks, but for those that gave way to an earlier one with their key.
INSERT INTO tasks (
    id, workspace_id, account_id, session_id, client_id, roles, key_id, instance_id, status, runtime_id, timeout_ms, created_at, metadata, code
)
SELECT
    c.value ->> 'id', c.value ->> 'workspace_id', c.value ->> 'account_id', c.value ->> 'session_id', c.value ->> 'client_id', c.value ->> 'roles', c.value ->> 'key_id', c.value ->> 'instance_id',
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
