-- REAPER: while it plays, tell the co-pilot what lies ahead on the selected tracks (all of them if none is selected), so that it
-- writes towards it. Run it once to begin, and again to end. Set the page's mode to "timeline", and sync to MIDI clock.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local client = dofile(folder .. "client.lua")
local host = dofile(folder .. "reaper_notes.lua")

local AHEAD, EVERY = 32, 1.0 -- quarters that are told, and seconds between two tellings
local server, problem = client.connect(host.run)
if not server then return reaper.ShowMessageBox(problem, "Anticipation", 0) end
local last = -EVERY

local function tracks()
  local found, selected = {}, reaper.CountSelectedTracks(0)
  for i = 0, (selected > 0 and selected or reaper.CountTracks(0)) - 1 do
    found[#found + 1] = selected > 0 and reaper.GetSelectedTrack(0, i) or reaper.GetTrack(0, i)
  end
  return found
end

local function tell()
  if reaper.GetPlayState() & 1 == 1 and reaper.time_precise() - last >= EVERY then
    last = reaper.time_precise()
    local now = reaper.TimeMap2_timeToQN(0, reaper.GetPlayPosition())
    local notes = {}
    for _, track in ipairs(tracks()) do
      for i = 0, reaper.CountTrackMediaItems(track) - 1 do
        local item = reaper.GetTrackMediaItem(track, i)
        local from, to = host.extent(item)
        if to > now and from < now + AHEAD then host.gather(item, now, now + AHEAD, 0, notes) end
      end
    end
    server:timeline(notes, now)
  end
  reaper.defer(tell)
end

tell()
