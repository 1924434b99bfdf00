-- The writes of an origin, by name, that the operator lets the gateway make safe by leases of rows alone.
ALTER TABLE origins ADD COLUMN leased_writes TEXT CHECK (json_valid(leased_writes) AND json_type(leased_writes) = 'array');
