-- Included, behind foreign.lua, by scripts that read keys beside the one that the caller knows.

-- kept() reads a key beside the one that the caller knows. If that key has another type, it returns an error that names
-- the key.
local function kept(command, key, ...)
  local found = redis.pcall(command, key, ...)
  local refused = type(found) == 'table' and found.err
  if refused and string.sub(refused, 1, 9) == 'WRONGTYPE' then
    return nil, foreign('another type under the key', key)
  end
  return found, refused and found
end
