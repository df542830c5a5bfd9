-- Look at one credential.
-- KEYS[1]: the credential
-- KEYS[2]: its state
-- KEYS[3]: its lease
-- Returns what `snapshot` returns.
--- @include "snapshot"
return snapshot(KEYS[1], KEYS[2], KEYS[3])
