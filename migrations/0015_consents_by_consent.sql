-- A changed or deleted Consent is looked up by its own pseudonym: it may have been filed for a different patient before.
CREATE INDEX consents_by_consent ON consents (consent);
