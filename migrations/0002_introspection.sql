-- An issuer whose tokens are opaque is asked about them (RFC 7662): {endpoint, clientId, credentials by name of a secret}.
ALTER TABLE issuers ADD COLUMN introspection TEXT CHECK (json_valid(introspection) AND json_type(introspection) = 'object');
--> statement-breakpoint
-- Whose token an opaque one may be, the certificate that it comes with tells.
CREATE INDEX certificates_x5t ON certificates (x5t);
