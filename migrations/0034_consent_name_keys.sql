-- The id of the key of the Consent's own pseudonym: a Consent can be withdrawn only while its pseudonym can be made again.
-- `ended`: the newest version of this Consent of this patient is not in force, so its name is needed by records alone.
-- NULL: the row is older than this column.
ALTER TABLE consents ADD COLUMN consent_key_id TEXT CHECK (length(consent_key_id) = 22 OR consent_key_id = 'ended');
--> statement-breakpoint
-- The pseudonym by which records name a version that was refiled (docs/keys.md).
ALTER TABLE consents ADD COLUMN recorded_as TEXT CHECK (length(recorded_as) = 43);
--> statement-breakpoint
CREATE INDEX consents_by_consent_key ON consents (consent_key_id);
--> statement-breakpoint
-- The id of the key of the patient's pseudonym. NULL: the row is older than this column.
ALTER TABLE consent_readings ADD COLUMN key_id TEXT CHECK (length(key_id) = 22);
