-- An image that was made anew of another names that one, and the first of all of its line.
ALTER TABLE images ADD COLUMN previous_id TEXT REFERENCES images (id) ON DELETE SET NULL;
ALTER TABLE images ADD COLUMN lineage TEXT;
CREATE INDEX images_by_lineage ON images (lineage) WHERE lineage IS NOT NULL;
CREATE INDEX images_by_previous ON images (previous_id) WHERE previous_id IS NOT NULL;

-- A deleted image can be restored until then; null where it cannot. When its object is next to be
-- seen to: who sees to it moves this on before, which is the lease, and its number.
ALTER TABLE images ADD COLUMN restorable_until BIGINT;
ALTER TABLE images ADD COLUMN tidy_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX images_to_tidy ON images (tidy_at) WHERE purged_at IS NULL AND deleted_at IS NOT NULL;
DROP INDEX images_to_purge;
