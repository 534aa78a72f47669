-- Jobs, the pictures they make, what happened to them, and the nonces seen.
-- Moments are Unix milliseconds, nonces' excepted (Unix seconds, as signatures have them).

CREATE TABLE jobs (
    -- The order of the queue and of lists.
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    account       TEXT NOT NULL,
    task_id       TEXT,
    status        TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The recipe of image 0, as JSON; image i has the seed that far on.
    recipe        TEXT NOT NULL,
    -- Steps done and steps in all, over all images, and pixels a step: what estimates are made of.
    step          INTEGER NOT NULL DEFAULT 0,
    steps         INTEGER NOT NULL,
    pixels        INTEGER NOT NULL,
    -- How often the engine took it up without coming to its end.
    attempts      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER,
    error_code    TEXT,
    error_message TEXT
) STRICT;

CREATE INDEX jobs_unfinished ON jobs (sequence) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_by_account ON jobs (account, sequence);

CREATE TABLE images (
    id            TEXT PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    -- Fixed when the job is accepted, so that work done twice writes one object.
    object_key    TEXT NOT NULL UNIQUE,
    seed          INTEGER NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    visibility    TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    width         INTEGER NOT NULL,
    height        INTEGER NOT NULL,
    content_type  TEXT NOT NULL,
    -- Null until the store has it.
    stored_at     INTEGER,
    bytes         INTEGER,
    sha256        TEXT,
    UNIQUE (job_id, position),
    CHECK (stored_at IS NULL OR (bytes IS NOT NULL AND sha256 IS NOT NULL))
) STRICT;

CREATE TABLE job_events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    -- From 1 within a job: what `Last-Event-ID` names.
    number INTEGER NOT NULL,
    name   TEXT NOT NULL,
    -- Steps done at that moment.
    step   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE nonces (
    nonce      TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_by_expiry ON nonces (expires_at);
