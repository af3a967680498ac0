-- What a task did and saw, so that its program can run again to the same point. Rows are written in
-- the order of `n`; what they hold is the task engine's.
CREATE TABLE journal (
    task INTEGER NOT NULL REFERENCES tasks (n),
    n INTEGER NOT NULL,             -- from 0, without gaps
    entries TEXT NOT NULL,
    PRIMARY KEY (task, n)
) STRICT;
