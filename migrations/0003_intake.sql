-- A file that is written over can keep size, time and inode; its ctime changes.
ALTER TABLE upload ADD COLUMN ctime_ns INTEGER; -- when anything about the file changed last, as it was last looked at

-- files that it takes long to read, and how far they are
CREATE TABLE reading (
    brand_id   INTEGER NOT NULL REFERENCES brand (id),
    path_bytes BLOB    NOT NULL,
    bytes      INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (brand_id, path_bytes)
) STRICT, WITHOUT ROWID;

-- every other file that is sent is the one that came last
CREATE INDEX upload_newest ON upload (turn, ctime_ns DESC, id) WHERE state IN ('queued', 'retrying') AND held = 0;

-- what is surely on OSS in the file's slot: a file that is back as it was is not sent again
ALTER TABLE upload ADD COLUMN object_sha256 TEXT;
UPDATE upload SET object_sha256 = sha256 WHERE state = 'uploaded' AND slot IS NOT NULL;
