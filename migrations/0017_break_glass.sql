-- The sign-in that a grant for a break-glass purpose demands.
ALTER TABLE grants ADD COLUMN break_glass TEXT CHECK (json_valid(break_glass));
