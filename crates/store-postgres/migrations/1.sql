create table mcp_startup_credential (
    -- SHA-256 of the tenant, the user, the name of the server and the hash of its URL.
    id bytea primary key,
    -- The parts of `id`, for people, for the removal of a user, and for a change of the key.
    tenant text not null,
    user_id text not null,
    server text not null,
    url_hash text not null,
    -- A format byte, the nonce, and the encrypted record with its tag.
    record bytea not null,
    -- The key that encrypts the record, and a check value that tells a wrong key from a damaged record.
    key_id text not null,
    key_check bytea not null,
    -- An HMAC of the record, for a compare-and-swap in one statement.
    digest bytea not null,
    -- New at each save. It is part of what the encryption authenticates.
    revision uuid not null,
    updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 80);

create index mcp_startup_credential_user on mcp_startup_credential (tenant, user_id);
create index mcp_startup_credential_key on mcp_startup_credential (key_id);

create table mcp_startup_lease (
    id bytea primary key,
    -- One UUID for each acquisition; null if the lock is free.
    holder uuid,
    -- How often the lock was acquired.
    epoch bigint not null,
    expires_at timestamptz not null,
    -- The last refresh whose outcome is not known: an HMAC of its refresh token
    -- after the ID of the key, the time, and the epoch of its holder.
    sent_token bytea,
    sent_at timestamptz,
    sent_epoch bigint
) with (fillfactor = 50);
