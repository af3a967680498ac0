-- What was used of each limit, in millionths, in slices of time. Nanoseconds since 1970 in UTC.
CREATE TABLE counters (
    key TEXT NOT NULL,
    width INTEGER NOT NULL,         -- length of a slice; negative for a rolling window, 0 for all time
    bucket INTEGER NOT NULL,        -- where the slice begins
    value INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,    -- from when nothing asks for it any more
    PRIMARY KEY (key, width, bucket)
) STRICT, WITHOUT ROWID;

CREATE INDEX counters_of_expiry ON counters (expires_at);

CREATE TABLE approvals (
    n INTEGER PRIMARY KEY,          -- the order of asking
    id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    seq INTEGER NOT NULL,           -- the call's number in its run
    status TEXT NOT NULL,
    tool TEXT NOT NULL,
    args TEXT NOT NULL,             -- JSON, to the byte as it will be sent
    digest TEXT NOT NULL,
    asked TEXT NOT NULL,            -- JSON object
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    note TEXT,
    why TEXT
) STRICT;

CREATE INDEX approvals_of_workspace ON approvals (workspace_id);
CREATE INDEX approvals_of_status ON approvals (status, workspace_id);
CREATE INDEX approvals_of_task ON approvals (task_id);
