-- Versions of Consents in their compiled form: ids and codes, no prose, filed under pseudonyms (HMAC) of the patient and
-- of the Consent. Rows are only added. The version with the highest number of its change is the present version.
CREATE TABLE consents (
  origin TEXT NOT NULL,
  subject TEXT NOT NULL CHECK (length(subject) = 43),
  consent TEXT NOT NULL CHECK (length(consent) = 43),
  change INTEGER NOT NULL,
  digest TEXT NOT NULL CHECK (length(digest) = 64),
  form TEXT NOT NULL,
  is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
  may_permit INTEGER NOT NULL CHECK (may_permit IN (0, 1)),
  filed_by TEXT,
  filed_at INTEGER NOT NULL,
  PRIMARY KEY (subject, consent, change)
) STRICT, WITHOUT ROWID;
