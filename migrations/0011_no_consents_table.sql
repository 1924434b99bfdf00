-- No version wrote this table. A consent in force is kept in a compiled form, filed under a pseudonym of the
-- patient; this table had the patient's reference in clear and one decision per row.
DROP TABLE consents;
