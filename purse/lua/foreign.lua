-- Included by scripts that may find something that no purse has written.

-- foreign() is the error that says so, with the beginning of what was found.
local function foreign(what, found)
  local shown = found:sub(1, 80):gsub('[^\32-\126]', '?')
  return redis.error_reply('WRONGTYPE purse found ' .. what .. ': ' .. shown)
end
