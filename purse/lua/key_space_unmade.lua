-- Remove the marker of a value that was not made, unless another caller has taken it over.
--
-- KEYS[1]  the marker
-- ARGV[1]  its token, see key_space_claim.lua, or only the 16 bytes that the caller has chosen
--
-- Returns 1 if it was removed, else 0. O(1).
local marker = redis.call('GET', KEYS[1])
if not marker or #marker > 17 or string.sub(marker, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
return redis.call('UNLINK', KEYS[1])
