-- Where the content of an origin's attachments is stored outside of its server.
ALTER TABLE origins ADD COLUMN storage TEXT CHECK (json_valid(storage) AND json_type(storage) = 'array');
