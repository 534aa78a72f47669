-- Whether all that happened to a job, and what was told of its end, is still on record. When it ended
-- long enough ago only its last event stays. Who has it made again sets this anew.
ALTER TABLE jobs ADD COLUMN has_history INTEGER NOT NULL DEFAULT 1;
CREATE INDEX jobs_with_history ON jobs (finished_at) WHERE has_history = 1 AND finished_at IS NOT NULL;
