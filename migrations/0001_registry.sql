-- The registry. phylax-control is its only writer. Times are milliseconds since 1970; digests are SHA-256.
-- Readers trust these constraints: what would be nonsense cannot be stored.

CREATE TABLE issuers (
  iss TEXT PRIMARY KEY NOT NULL CHECK (iss LIKE 'https://%'),
  jwks TEXT CHECK (json_valid(jwks)),
  jwks_uri TEXT CHECK (jwks_uri LIKE 'https://%'),
  algs TEXT NOT NULL CHECK (json_valid(algs) AND json_type(algs) = 'array'),
  audience TEXT NOT NULL CHECK (audience <> ''),
  purpose TEXT NOT NULL CHECK (json_valid(purpose) AND json_type(purpose) = 'object'),
  claims TEXT NOT NULL CHECK (json_valid(claims) AND json_type(claims) = 'object'),
  CHECK ((jwks IS NULL) <> (jwks_uri IS NULL))
) STRICT;
--> statement-breakpoint
CREATE TABLE clients (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*'),
  kind TEXT NOT NULL CHECK (kind <> ''),
  status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
  auth TEXT NOT NULL CHECK (auth IN ('private_key_jwt', 'tls_client_auth', 'external')),
  issuer TEXT REFERENCES issuers (iss),
  external_client_id TEXT,
  jwks TEXT CHECK (json_valid(jwks) AND json_type(jwks) = 'object'),
  jwks_uri TEXT CHECK (jwks_uri LIKE 'https://%'),
  assertion_profile TEXT NOT NULL CHECK (assertion_profile IN ('fapi2', 'smart')),
  dpop INTEGER NOT NULL CHECK (dpop IN (0, 1)),
  patient TEXT CHECK (length(patient) BETWEEN 1 AND 64),
  CHECK ((auth = 'external') = (issuer IS NOT NULL)),
  CHECK ((auth = 'external') = (external_client_id IS NOT NULL)),
  CHECK (jwks IS NULL OR jwks_uri IS NULL),
  CHECK (auth <> 'private_key_jwt' OR jwks IS NOT NULL OR jwks_uri IS NOT NULL)
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX clients_external ON clients (issuer, external_client_id);
--> statement-breakpoint
CREATE TABLE certificates (
  client TEXT NOT NULL REFERENCES clients (id),
  x5t TEXT NOT NULL CHECK (length(x5t) = 43 AND x5t NOT GLOB '*[^A-Za-z0-9_-]*'),
  not_before INTEGER,
  not_after INTEGER,
  PRIMARY KEY (client, x5t),
  CHECK ((not_before IS NULL) = (not_after IS NULL)),
  CHECK (not_before < not_after)
) STRICT;
--> statement-breakpoint
CREATE TABLE agreements (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*'),
  client TEXT NOT NULL REFERENCES clients (id),
  begins INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  document_hash TEXT NOT NULL CHECK (length(document_hash) = 64 AND document_hash NOT GLOB '*[^0-9a-f]*'),
  UNIQUE (id, client),
  CHECK (begins < ends)
) STRICT;
--> statement-breakpoint
CREATE TABLE agreement_purposes (
  agreement TEXT NOT NULL REFERENCES agreements (id),
  purpose TEXT NOT NULL CHECK (length(purpose) BETWEEN 2 AND 16 AND purpose NOT GLOB '*[^A-Z]*'),
  PRIMARY KEY (agreement, purpose)
) STRICT;
--> statement-breakpoint
CREATE TABLE policies (
  digest TEXT PRIMARY KEY NOT NULL CHECK (length(digest) = 71 AND digest GLOB 'sha256:*' AND substr(digest, 8) NOT GLOB '*[^0-9a-f]*'),
  name TEXT NOT NULL CHECK (name <> ''),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_type(body) = 'object')
) STRICT;
--> statement-breakpoint
CREATE TABLE policy_purposes (
  policy TEXT NOT NULL REFERENCES policies (digest),
  purpose TEXT NOT NULL CHECK (length(purpose) BETWEEN 2 AND 16 AND purpose NOT GLOB '*[^A-Z]*'),
  PRIMARY KEY (policy, purpose)
) STRICT;
--> statement-breakpoint
CREATE TABLE origins (
  name TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 32 AND name NOT GLOB '*[^a-z0-9-]*'),
  url TEXT NOT NULL CHECK ((url LIKE 'https://%' OR url LIKE 'http://%') AND url NOT LIKE '%/'),
  credentials TEXT NOT NULL CHECK (json_valid(credentials) AND json_extract(credentials, '$.kind') IN ('none', 'bearer', 'private_key_jwt', 'mtls'))
) STRICT;
--> statement-breakpoint
-- The agreement is the client's own and names the purpose, and the policy may serve it: the foreign keys say so.
CREATE TABLE grants (
  client TEXT NOT NULL REFERENCES clients (id),
  origin TEXT NOT NULL REFERENCES origins (name),
  purpose TEXT NOT NULL,
  agreement TEXT NOT NULL,
  policy TEXT NOT NULL,
  scopes TEXT NOT NULL CHECK (scopes <> ''),
  quota_requests INTEGER NOT NULL CHECK (quota_requests > 0),
  quota_window_seconds INTEGER NOT NULL CHECK (quota_window_seconds > 0),
  revision INTEGER NOT NULL CHECK (revision > 0),
  PRIMARY KEY (client, origin, purpose),
  FOREIGN KEY (agreement, client) REFERENCES agreements (id, client),
  FOREIGN KEY (agreement, purpose) REFERENCES agreement_purposes (agreement, purpose),
  FOREIGN KEY (policy, purpose) REFERENCES policy_purposes (policy, purpose)
) STRICT;
--> statement-breakpoint
-- A quota's counter believes the highest revision it has heard of.
CREATE TRIGGER grants_revision_grows BEFORE UPDATE ON grants WHEN NEW.revision <= OLD.revision
BEGIN SELECT RAISE(ABORT, 'a changed grant needs a higher revision'); END;
--> statement-breakpoint
-- A policy is its digest: another body is another policy.
CREATE TRIGGER policies_stay BEFORE UPDATE OF digest, body ON policies
BEGIN SELECT RAISE(ABORT, 'a policy never changes'); END;
--> statement-breakpoint
-- Codes and references only: the consent document itself stays with the origin.
CREATE TABLE consents (
  id TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
  origin TEXT NOT NULL REFERENCES origins (name),
  patient TEXT NOT NULL CHECK (patient GLOB 'Patient/?*' AND length(patient) <= 72),
  purpose TEXT NOT NULL CHECK (length(purpose) BETWEEN 2 AND 16 AND purpose NOT GLOB '*[^A-Z]*'),
  client TEXT REFERENCES clients (id),
  decision TEXT NOT NULL CHECK (decision IN ('permit', 'deny')),
  made_by TEXT NOT NULL CHECK (made_by IN ('patient', 'registrar', 'origin')),
  registrar TEXT REFERENCES clients (id),
  begins INTEGER NOT NULL,
  ends INTEGER CHECK (ends > begins),
  CHECK ((made_by = 'registrar') = (registrar IS NOT NULL)),
  CHECK (client IS NULL OR registrar IS NULL OR client <> registrar)
) STRICT;
--> statement-breakpoint
CREATE INDEX consents_of_patient ON consents (origin, patient);
--> statement-breakpoint
CREATE TABLE operators (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*'),
  status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
  x5t TEXT NOT NULL UNIQUE CHECK (length(x5t) = 43 AND x5t NOT GLOB '*[^A-Za-z0-9_-]*'),
  roles TEXT NOT NULL CHECK (json_valid(roles) AND json_type(roles) = 'array' AND json_array_length(roles) > 0)
) STRICT;
