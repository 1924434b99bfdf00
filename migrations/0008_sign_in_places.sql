-- Where apps have people sign in: the endpoints of an issuer, and which issuer an origin names to them.
ALTER TABLE issuers ADD COLUMN endpoints TEXT CHECK (json_valid(endpoints) AND json_type(endpoints) = 'object');
--> statement-breakpoint
ALTER TABLE origins ADD COLUMN sign_in_at TEXT REFERENCES issuers (iss);
