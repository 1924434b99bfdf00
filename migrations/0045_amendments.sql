-- The rows of the record that a request for an amendment names, as a JSON list of `Observation/1`: an amendment touches one
-- of them. Null: the case is older. An empty list: the request names none.
ALTER TABLE cases ADD COLUMN disputed TEXT;
--> statement-breakpoint
-- What follows each later disclosure of the disputed rows (164.526(d)(5)): filed beside the Consents of the patient.
ALTER TABLE cases ADD COLUMN stated_at INTEGER;
--> statement-breakpoint
ALTER TABLE cases ADD COLUMN stated_by TEXT;
--> statement-breakpoint
ALTER TABLE cases ADD COLUMN statement TEXT;
