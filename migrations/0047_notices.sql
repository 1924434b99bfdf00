-- The rows that an amendment touched, as a JSON list of `Observation/1`. Null: the case is older, or has no amendment.
ALTER TABLE cases ADD COLUMN amended_rows TEXT;
--> statement-breakpoint
-- The entity that sent a notice of its amendment (45 CFR 164.526(e)). Null: the individual asked.
ALTER TABLE cases ADD COLUMN informed_by TEXT;
--> statement-breakpoint
-- To whom a notice of an amendment is due (164.526(c)(3)): a person whom the individual names, or a client that got
-- information before the amendment. A notice without `ended_at` is open; it ends with a letter, or with a reason without one.
CREATE TABLE case_notices (
  case_id TEXT NOT NULL CHECK (length(case_id) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('person', 'holder')),
  recipient TEXT NOT NULL,
  noted_at INTEGER NOT NULL,
  noted_by TEXT NOT NULL,
  -- Of a holder: ms since 1970 of the last disclosure before the amendment, and the purposes of all, as a JSON list.
  last_at INTEGER,
  purposes TEXT,
  ended_at INTEGER,
  ended_by TEXT,
  letter TEXT CHECK (length(letter) = 64),
  reason TEXT,
  PRIMARY KEY (case_id, kind, recipient),
  CHECK ((kind = 'holder') = (last_at IS NOT NULL) AND (last_at IS NULL) = (purposes IS NULL)),
  CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NOT NULL) = (letter IS NOT NULL) + (reason IS NOT NULL))
) STRICT;
