-- $1 now; the error and the data of the event, $2 and $3 where a call had left whose end is not on record, $4 and $5 elsewhere; $6 the instance that starts.
BEGIN IMMEDIATE;

CREATE TEMP TABLE unfinished AS
SELECT t.n, EXISTS (
    SELECT e.call FROM events e WHERE e.task = t.n AND e.kind = 'tool.call.started'
    EXCEPT
    SELECT e.call FROM events e
    WHERE e.task = t.n AND e.kind IN ('tool.call.completed', 'tool.call.failed', 'tool.call.denied')
) AS under_way
FROM tasks t
WHERE t.status IN ('queued', 'running', 'awaiting_approval') AND t.instance_id IS NOT $6;

INSERT INTO events (task, seq, at, kind, data)
SELECT u.n, coalesce((SELECT max(e.seq) FROM events e WHERE e.task = u.n), 0) + 1, $1, 'task.failed', iif(u.under_way, $3, $5)
FROM unfinished u;

SELECT count(*) FROM unfinished;

UPDATE tasks SET status = 'failed', completed_at = $1, exit_code = 1, error = iif(u.under_way, $2, $4)
FROM unfinished u
WHERE tasks.n = u.n;

DROP TABLE unfinished;

COMMIT;
