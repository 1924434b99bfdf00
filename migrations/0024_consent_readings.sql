-- How often the gateway reads the Consents of a patient at an origin (docs/consent.md).
ALTER TABLE origins ADD COLUMN consents TEXT CHECK (json_valid(consents) AND json_type(consents) = 'object');
--> statement-breakpoint
-- When the Consents of a patient were last read at the origin, under the pseudonym of the patient. `seen` is a JSON array
-- of the pseudonyms of the Consents in that reading. `claim` is the number of the reading that is under way.
CREATE TABLE consent_readings (
  subject TEXT PRIMARY KEY NOT NULL CHECK (length(subject) = 43),
  read_at INTEGER NOT NULL,
  seen TEXT NOT NULL CHECK (json_valid(seen)),
  claim INTEGER NOT NULL,
  claimed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
