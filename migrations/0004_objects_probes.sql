-- an object is one file's: which one has it is asked before anything is sent there
CREATE INDEX upload_object ON upload (object_url) WHERE object_url IS NOT NULL AND slot IS NOT NULL;

-- a file in another slot has another object
CREATE TRIGGER another_slot_another_object AFTER UPDATE OF slot ON upload
WHEN new.slot IS NOT NULL AND old.slot IS NOT new.slot AND new.object_url IS NOT NULL
BEGIN UPDATE upload SET object_url = NULL, etag = NULL WHERE id = new.id; END;
