-- Where a job's spans go on: a `traceparent`, where its caller or the service has one.
ALTER TABLE jobs ADD COLUMN traceparent TEXT;
