-- Accounts that share a job which another account's request began: each sees it as its own.
CREATE TABLE job_readers (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    -- The reader's own label.
    task_id TEXT,
    PRIMARY KEY (job_id, account)
) STRICT, WITHOUT ROWID;

-- A deleted image is hidden at once, and purged when the store has forgotten it too.
ALTER TABLE images ADD COLUMN deleted_at INTEGER;
ALTER TABLE images ADD COLUMN purged_at INTEGER;
