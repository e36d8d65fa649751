-- An address is mostly what it is looked up by, and is found by that: each new contact has one index less to write.
DROP INDEX sluice_core.identities_address;
CREATE INDEX identities_spelled ON sluice_core.identities (address) WHERE address <> lookup;
