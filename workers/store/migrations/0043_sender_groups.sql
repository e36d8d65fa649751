-- The senders that are at work, by consumer group. All members of a group serve the same channels: otherwise a partition
-- could go to a member that skips its channels. `channels` is a digest of their list. A member renews `live_until`.
CREATE TABLE sluice_core.sender_members (
    consumer_group text NOT NULL,
    member uuid NOT NULL,
    channels bytea NOT NULL,
    live_until timestamptz NOT NULL,
    PRIMARY KEY (consumer_group, member)
);
