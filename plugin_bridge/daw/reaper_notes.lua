-- What both REAPER scripts need: the notes of MIDI items in quarters, the tempo map, and a way to run curl. Knows no tasks.

local host = {}

-- Runs a command line and returns what it writes; seconds nil: does not wait for it.
function host.run(line, seconds)
  local windows = reaper.GetOS():match("^Win")
  local curl = windows and (os.getenv("SystemRoot") or "C:\\Windows") .. "\\System32\\curl.exe" or "/usr/bin/curl"
  line = line:gsub("^curl", function() return '"' .. curl .. '"' end, 1)
  local found = reaper.ExecProcess(line, seconds and seconds * 1000 or -2) or ""
  return (found:gsub("^%d+[\r\n]+", "", 1)) -- its first line is the exit code
end

-- Adds the notes of a MIDI item whose onsets lie in from <= quarter < to, as quarters after `zero`.
function host.gather(item, from, to, zero, notes)
  local take = reaper.GetActiveTake(item)
  if not take or not reaper.TakeIsMIDI(take) then return notes end
  local _, count = reaper.MIDI_CountEvts(take)
  for i = 0, count - 1 do
    local _, _, muted, first, last, channel, pitch, velocity = reaper.MIDI_GetNote(take, i)
    local onset, ending = reaper.MIDI_GetProjQNFromPPQPos(take, first), reaper.MIDI_GetProjQNFromPPQPos(take, last)
    if not muted and onset >= from and onset < to then
      notes[#notes + 1] = { onset - zero, ending - onset, pitch, channel == 9 and 128 or 0, velocity }
    end
  end
  return notes
end

-- Where an item lies, in quarters.
function host.extent(item)
  local at = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  return reaper.TimeMap2_timeToQN(0, at), reaper.TimeMap2_timeToQN(0, at + reaper.GetMediaItemInfo_Value(item, "D_LENGTH"))
end

-- Tempos and metres from quarter `zero` on, as quarters after it.
function host.tempo_map(zero)
  local begin = reaper.TimeMap2_QNToTime(0, zero)
  local numerator, denominator, bpm = reaper.TimeMap_GetTimeSigAtTime(0, begin)
  local tempos, meters = { { 0, bpm } }, { { 0, numerator, denominator } }
  for i = 0, reaper.CountTempoTimeSigMarkers(0) - 1 do
    local _, at, _, _, tempo, top, bottom = reaper.GetTempoTimeSigMarker(0, i)
    if at > begin then
      local quarter = reaper.TimeMap2_timeToQN(0, at) - zero
      tempos[#tempos + 1] = { quarter, tempo }
      if top > 0 then meters[#meters + 1] = { quarter, top, bottom } end
    end
  end
  return tempos, meters
end

return host
