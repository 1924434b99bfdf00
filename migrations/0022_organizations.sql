-- The identifiers of the organization behind a client and behind an origin, such as an NPI: Consents name actors by them.
ALTER TABLE clients ADD COLUMN organization TEXT CHECK (json_valid(organization) AND json_type(organization) = 'array');
--> statement-breakpoint
ALTER TABLE origins ADD COLUMN organization TEXT CHECK (json_valid(organization) AND json_type(organization) = 'array');
