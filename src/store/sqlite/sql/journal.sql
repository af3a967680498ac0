-- $6: rows of the journals of tasks that have not ended.
INSERT INTO journal (task, n, entries)
SELECT t.n, c.value ->> 'n', c.value ->> 'entries'
FROM json_each($6) c
CROSS JOIN tasks t
WHERE t.id = c.value ->> 'id' AND t.completed_at IS NULL;
