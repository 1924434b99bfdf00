-- Operators are people, who sign in beside their certificate, or machines, which cannot: whoever says nothing is a person. Whom an
-- earlier version admitted by the certificate alone is one without a demand, and refused until the row says which it is.
ALTER TABLE operators ADD COLUMN kind TEXT NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'machine'));
--> statement-breakpoint
ALTER TABLE operators ADD COLUMN sign_in TEXT CHECK (json_valid(sign_in) AND json_type(sign_in) = 'object');
--> statement-breakpoint
CREATE TRIGGER operators_sign_in BEFORE INSERT ON operators WHEN (NEW.kind = 'person') <> (NEW.sign_in IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a person signs in, and a machine does not'); END;
--> statement-breakpoint
CREATE TRIGGER operators_go_on_signing_in BEFORE UPDATE OF kind, sign_in ON operators WHEN (NEW.kind = 'person') <> (NEW.sign_in IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a person signs in, and a machine does not'); END;
