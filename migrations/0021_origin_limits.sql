-- How long a question to an origin may take, and how many may be under way at once (docs/registry.md).
ALTER TABLE origins ADD COLUMN limits TEXT CHECK (json_valid(limits) AND json_type(limits) = 'object');
