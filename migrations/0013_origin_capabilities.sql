-- What an origin's server can do, as `phylax origin probe` found it (docs/registry.md).
ALTER TABLE origins ADD COLUMN capabilities TEXT CHECK (json_valid(capabilities) AND json_type(capabilities) = 'object');
