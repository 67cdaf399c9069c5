-- Give a fence to a master that has none.
--
-- KEYS[1]  fence: a decimal integer, the greatest token that was accepted here
-- ARGV[1]  its value: no token that was granted so far is greater
-- ARGV[2]  the run of the server that was seen to have none: it may have forgotten more since, if it was started again
--
-- Returns 1, or 0 if it has one, or runs anew. O(1).
if string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[2] then
  return 0
end
return redis.call('SETNX', KEYS[1], ARGV[1])
