-- The end of the emergency: a review is closed after it, since a use may come until then. Null: opened before this column.
ALTER TABLE reviews ADD COLUMN until INTEGER;
