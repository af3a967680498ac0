-- $1 now, $2 the error, $3 the data of the events.
BEGIN IMMEDIATE;

INSERT INTO events (task, seq, at, kind, data)
SELECT t.n, coalesce((SELECT max(e.seq) FROM events e WHERE e.task = t.n), 0) + 1, $1, 'task.failed', $3
FROM tasks t
WHERE t.status IN ('queued', 'running', 'awaiting_approval');

SELECT count(*) FROM tasks WHERE status IN ('queued', 'running', 'awaiting_approval');

UPDATE tasks SET status = 'failed', completed_at = $1, exit_code = 1, error = $2
WHERE status IN ('queued', 'running', 'awaiting_approval');

COMMIT;
