-- The beginning of the ids under which a client may create resources by PUT (docs/writes.md).
ALTER TABLE clients ADD COLUMN id_prefix TEXT CHECK (id_prefix GLOB '[A-Za-z0-9][A-Za-z0-9]*-' AND length(id_prefix) <= 31);
