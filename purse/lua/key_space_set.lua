-- Store entries, all or none of them.
--
-- KEYS     the entries
-- ARGV[1]  "NX": only if none of them exists, "XX": only if all of them exist, "": always
-- ARGV[2]  encoded value of KEYS[1], ARGV[3] its TTL policy, see key_space_store.lua, and so on in pairs
--
-- Returns 1 if they were stored, else 0. O(n) for n entries.
--#include key_space_store
if ARGV[1] ~= '' then
  local wanted = ARGV[1] == 'XX' and 1 or 0
  for _, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) ~= wanted then
      return 0
    end
  end
end
for i, key in ipairs(KEYS) do
  store(key, ARGV[2 * i], ARGV[2 * i + 1])
end
return 1
