-- Least privilege: readers see the public views, billing sees the billing ones, workers write but own nothing.

GRANT SELECT ON sluice.mac_counts, sluice.mac_contacts, sluice.mac_adjustments TO sluice_billing;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA sluice FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sluice TO sluice_worker;
GRANT EXECUTE ON FUNCTION sluice.explain_mac(text, timestamptz, uuid) TO sluice_reader, sluice_billing;
