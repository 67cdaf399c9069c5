-- Included by scripts that read numbers which another program may have written.

-- whole() is the number in a text if it is a whole number that Lua represents exactly, or else nil. (tonumber()
-- takes "nan", "inf", "0x10" and " 1e9 " for numbers, and every comparison with the first of them is false.)
local function whole(text)
  local number = #text <= 16 and string.find(text, '^%d+$') and tonumber(text)
  return number and number < 2 ^ 53 and number or nil
end
