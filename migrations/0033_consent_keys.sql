-- The id of the key under which a Consent is filed (docs/keys.md): a keyed hash, by which the key cannot be found. NULL:
-- the row is older than this column.
ALTER TABLE consents ADD COLUMN key_id TEXT CHECK (length(key_id) = 22);
--> statement-breakpoint
CREATE INDEX consents_by_key ON consents (key_id);
