-- A file that is written over can keep size, time and inode; its ctime changes.
ALTER TABLE upload ADD COLUMN ctime_ns INTEGER; -- when anything about the file changed last, as it was last looked at
