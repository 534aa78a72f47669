-- Who takes a job up has it on a lease, which a heartbeat renews. Each claim of a job has a number of
-- its own: whoever comes with an older one has lost the job, whatever it still believes.
ALTER TABLE jobs ADD COLUMN token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN lease_holder TEXT;
ALTER TABLE jobs ADD COLUMN lease_until INTEGER;
-- A job that failed waits until then before it is tried again.
ALTER TABLE jobs ADD COLUMN run_after INTEGER NOT NULL DEFAULT 0;

-- What a version without leases left running has run out.
UPDATE jobs SET lease_until = 0 WHERE status = 'running';
