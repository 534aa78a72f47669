-- How many previews of each image a job's events carry.
ALTER TABLE jobs ADD COLUMN previews INTEGER NOT NULL DEFAULT 0;
-- A small picture as a `data:` URL, on the steps that have one.
ALTER TABLE job_events ADD COLUMN preview TEXT;
