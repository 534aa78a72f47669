-- What a job begins with other than noise, ready for the engine: pixels of the job's own size. Goes
-- with the job's end.
CREATE TABLE job_starts (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    -- RGB, 8 bits each, row by row.
    image  BLOB NOT NULL,
    -- A byte a pixel; what is 128 and above is made anew.
    mask   BLOB
) STRICT;
