-- Whose turn it is: jobs are taken up by `turn`, in which an account's jobs follow each other by the
-- work that they are, and those of different accounts lie side by side. `turn_end` is where the
-- account's next one may begin.
ALTER TABLE jobs ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN turn_end INTEGER NOT NULL DEFAULT 0;
-- When the pictures are of no more use, by the database's clock.
ALTER TABLE jobs ADD COLUMN deadline INTEGER;

-- With all that estimates need, so that the rows themselves are left alone.
CREATE INDEX jobs_waiting ON jobs (turn, sequence, steps, pixels) WHERE status = 'queued';
CREATE INDEX jobs_waiting_by_account ON jobs (account, turn, sequence) WHERE status = 'queued';
CREATE INDEX jobs_at_work ON jobs (account) WHERE status = 'running';
CREATE INDEX jobs_taken_up ON jobs (turn) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_turns ON jobs (account, priority, turn_end);
CREATE INDEX jobs_by_deadline ON jobs (deadline)
    WHERE deadline IS NOT NULL AND status IN ('queued', 'running');
DROP INDEX jobs_unfinished;
