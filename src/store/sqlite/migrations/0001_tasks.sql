-- Times are nanoseconds since 1970 in UTC; columns named for JSON hold JSON texts.
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY,          -- short name within this database, in the order of recording
    id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    session_id TEXT,
    client_id TEXT NOT NULL,
    status TEXT NOT NULL,
    runtime_id TEXT NOT NULL,
    timeout_ms INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,           -- present exactly when the status is terminal
    exit_code INTEGER,
    result_bytes INTEGER,           -- length of the result
    metadata TEXT,                  -- JSON object
    error TEXT,                     -- JSON object
    warnings TEXT,                  -- JSON array
    usage TEXT,                     -- JSON object
    logs TEXT,                      -- JSON object
    code TEXT NOT NULL,
    result TEXT                     -- JSON; a longer one than 4096 bytes is in `results`
) STRICT;

-- An index ends in the row's number, so each of these also gives the order of a list.
CREATE INDEX tasks_of_workspace ON tasks (workspace_id);
CREATE INDEX tasks_of_status ON tasks (status, workspace_id);
CREATE INDEX tasks_of_session ON tasks (workspace_id, session_id) WHERE session_id IS NOT NULL;

-- In parts, so that a page of a large result is read without the rest of it.
CREATE TABLE results (
    task INTEGER NOT NULL REFERENCES tasks (n),
    part INTEGER NOT NULL,          -- from 0, each of 262144 bytes but the last
    bytes BLOB NOT NULL,
    PRIMARY KEY (task, part)
) STRICT;

CREATE TABLE events (
    task INTEGER NOT NULL REFERENCES tasks (n),
    seq INTEGER NOT NULL,           -- from 1, without gaps
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,             -- JSON object
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    workspace_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    key TEXT NOT NULL,
    task_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, account_id, key)
) STRICT, WITHOUT ROWID;
