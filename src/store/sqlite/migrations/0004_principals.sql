-- The whole identity behind a task and an approval; the instance that runs a task; the call that an
-- event belongs to.
ALTER TABLE tasks ADD COLUMN roles TEXT NOT NULL DEFAULT '["agent"]';    -- JSON array
ALTER TABLE tasks ADD COLUMN key_id TEXT;
ALTER TABLE tasks ADD COLUMN instance_id TEXT;

ALTER TABLE approvals ADD COLUMN principal TEXT NOT NULL DEFAULT '{}';   -- JSON object
UPDATE approvals SET principal = json_object(
    'workspaceId', workspace_id, 'accountId', asked ->> 'accountId', 'roles', json_array('agent'),
    'clientId', asked ->> 'clientId', 'sessionId', asked ->> 'sessionId'
);

ALTER TABLE events ADD COLUMN call INTEGER;                              -- its number in the run
UPDATE events SET call = data ->> 'seq';
UPDATE events SET data = json_set(data, '$.exitCode', 1)
WHERE kind = 'task.failed' AND data ->> 'exitCode' IS NULL;
