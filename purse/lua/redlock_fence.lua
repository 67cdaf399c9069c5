-- Give a fence to a master that has none.
--
-- KEYS[1]  fence: a decimal integer, the greatest token that was accepted here
-- ARGV[1]  its value, at least as great as every token granted so far
-- ARGV[2]  the run id of the server when it had no fence. If it was restarted since, it may have lost more data
--
-- Returns 1, or 0 if it has a fence or was restarted. O(1).
if string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[2] then
  return 0
end
return redis.call('SETNX', KEYS[1], ARGV[1])
