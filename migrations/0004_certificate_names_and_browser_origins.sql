-- Certificates by a name under an authority (RFC 8705 §2.1.2), clients that sign their own (§2.2), and the web pages of browser apps.
ALTER TABLE clients ADD COLUMN self_signed INTEGER NOT NULL DEFAULT 0 CHECK (self_signed = 0 OR (self_signed = 1 AND auth = 'tls_client_auth'));
--> statement-breakpoint
ALTER TABLE clients ADD COLUMN cors_origins TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(cors_origins) AND json_type(cors_origins) = 'array');
--> statement-breakpoint
CREATE TABLE certificate_subjects (
  client TEXT NOT NULL REFERENCES clients (id),
  issuer_dn TEXT NOT NULL CHECK (issuer_dn <> ''),
  field TEXT NOT NULL CHECK (field IN ('subjectDn', 'sanDns', 'sanUri', 'sanIp', 'sanEmail')),
  value TEXT NOT NULL CHECK (value <> ''),
  PRIMARY KEY (client, issuer_dn, field, value)
) STRICT;
