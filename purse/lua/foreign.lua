-- Included by scripts that may find a value that purse has not written.

-- foreign() is the error that reports it, with the beginning of the value.
local function foreign(what, found)
  local shown = found:sub(1, 80):gsub('[^\32-\126]', '?')
  return redis.error_reply('WRONGTYPE purse found ' .. what .. ': ' .. shown)
end
