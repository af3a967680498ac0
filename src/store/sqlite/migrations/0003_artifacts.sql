-- Answers that are too large for a program. Nanoseconds since 1970 in UTC.
CREATE TABLE artifacts (
    n INTEGER PRIMARY KEY,          -- the order of keeping
    id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    head TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,    -- 0 once it is removed
    whole INTEGER NOT NULL          -- 1 once all its parts are here
) STRICT;

CREATE INDEX artifacts_of_workspace ON artifacts (workspace_id);
CREATE INDEX artifacts_of_expiry ON artifacts (expires_at);

CREATE TABLE artifact_parts (
    artifact INTEGER NOT NULL REFERENCES artifacts (n),
    part INTEGER NOT NULL,          -- from 0, each of 262144 bytes but the last
    newlines_before INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (artifact, part)
) STRICT;
