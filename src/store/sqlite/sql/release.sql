-- $1: slots. What is over is gone already, and nothing becomes less than nothing.
UPDATE counters SET value = max(0, counters.value - (s.value ->> 'cost'))
FROM json_each($1) s
WHERE counters.key = s.value ->> 'key' AND counters.width = s.value ->> 'width' AND counters.bucket = s.value ->> 'bucket';
