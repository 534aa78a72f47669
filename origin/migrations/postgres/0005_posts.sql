-- Posts: the tables of ../sqlite. Moments are Unix milliseconds.
CREATE TABLE posts (
    sequence     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    account      TEXT NOT NULL,
    -- Kept by a deleted post too, so that it can be restored.
    slug         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    content      TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    author_id    TEXT,
    category_id  TEXT,
    image_id     TEXT REFERENCES images (id) ON DELETE SET NULL,
    -- Counts changes: what `ETag` and `If-Match` are made of.
    version      BIGINT NOT NULL DEFAULT 1,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    published_at BIGINT,
    deleted_at   BIGINT,
    -- The words of title and content. Marks part words here, as they do with SQLite: PostgreSQL's own
    -- parser would keep `a.example` and `well-known` as one.
    words        TSVECTOR NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', translate(
        title || ' ' || content, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)
    ))) STORED
);

CREATE INDEX posts_listed ON posts (COALESCE(published_at, created_at), sequence);
CREATE INDEX posts_by_account ON posts (account, COALESCE(published_at, created_at), sequence);
CREATE INDEX posts_by_image ON posts (image_id);
CREATE INDEX posts_words ON posts USING gin (words);

CREATE TABLE post_tags (
    post_id  TEXT NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    tag      TEXT NOT NULL,
    PRIMARY KEY (post_id, tag)
);

CREATE INDEX post_tags_by_tag ON post_tags (tag);

-- A post shows its image's address only while there is the image: when that comes or goes, the post
-- has changed, whoever did it.
CREATE FUNCTION touch_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE posts SET version = version + 1,
        updated_at = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
    WHERE image_id = OLD.id;
    RETURN OLD;
END
$$;
CREATE TRIGGER posts_image_hidden AFTER UPDATE OF deleted_at ON images FOR EACH ROW
WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION touch_posts();
CREATE TRIGGER posts_image_gone BEFORE DELETE ON images FOR EACH ROW EXECUTE FUNCTION touch_posts();
