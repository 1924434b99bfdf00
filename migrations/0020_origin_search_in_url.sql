-- The operator accepts that searches stand in URLs to an origin that takes no POST to _search.
ALTER TABLE origins ADD COLUMN accepts_search_in_url INTEGER CHECK (accepts_search_in_url IN (0, 1));
