-- Finds the job that makes a recipe, or has made it: by that of its first image.
CREATE INDEX images_by_recipe ON images (recipe_sha256) WHERE position = 0;

-- Ids under which jobs were handed in that joined another. Whoever asks for one means that job.
CREATE TABLE job_aliases (
    id     TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Who shares a job may have it taken up sooner than its owner could. That is a turn of the
-- reader's then: where its next one may begin, above 0.
ALTER TABLE job_readers ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE job_readers ADD COLUMN turn_end INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_readers_turns ON job_readers (account, priority, turn_end) WHERE turn_end > 0;
