-- A stand-in for REAPER's API, as small as our scripts need it, after its documentation: 480 ticks a quarter, 120 bpm in 4/4 from
-- the start. A project of two items; what scripts make is printed. Run: lua5.4 reaper_host.lua SCRIPT ANSWERS [SECONDS]
local script, answers, seconds = arg[1], arg[2], tonumber(arg[3] or "0")
local QN, deferred, boxes = 0.5, {}, {}

local function item(first, last, notes)
  local it = { first = first, last = last }
  it.take = { item = it, notes = notes }
  return it
end
local melody = {}
local off = os.getenv("RUBATO") and 37 or 0 -- ticks: then nobody hears a beat in it
for i = 0, 15 do melody[#melody + 1] = { i * 480 + i * i * off % 420, i * 480 + i * i * off % 420 + 400, i == 15 and 9 or 0, 60 + i % 8, 80, i == 14 } end
local project = { { name = "Melody", items = { item(10, 26, melody) } } } -- the third bar's third quarter on
local clock = 0

reaper = {
  get_action_context = function() return false, script, 0, 0, 0, 0, 0 end,
  GetOS = function() return "Other" end,
  ExecProcess = function(line, timeout)
    assert(type(timeout) == "number")
    local pipe = io.popen(line .. " 2>&1")
    local text = pipe:read("a")
    local _, _, code = pipe:close()
    return (code or 0) .. "\n" .. text
  end,
  ShowMessageBox = function(text) boxes[#boxes + 1] = text end,
  GetUserInputs = function(_, count, captions, values)
    local _, fields = captions:gsub(",", ",")
    assert(fields + 1 == count + 2 and select(2, values:gsub("\n", "")) == count - 1, "as many captions and values as fields")
    return answers ~= "", answers:gsub(";", "\n")
  end,
  CountSelectedMediaItems = function() return 1 end,
  GetSelectedMediaItem = function() return project[1].items[1] end,
  GetMediaItemInfo_Value = function(it, name) return name == "D_POSITION" and it.first * QN or (it.last - it.first) * QN end,
  GetActiveTake = function(it) return it.take end,
  TakeIsMIDI = function() return true end,
  MIDI_CountEvts = function(take) return true, #take.notes, 0, 0 end,
  MIDI_GetNote = function(take, i)
    local n = take.notes[i + 1]
    return true, false, n[6] or false, n[1], n[2], n[3], n[4], n[5]
  end,
  MIDI_GetProjQNFromPPQPos = function(take, ppq) return take.item.first + ppq / 480 end,
  MIDI_GetPPQPosFromProjQN = function(take, qn) return (qn - take.item.first) * 480 end,
  MIDI_InsertNote = function(take, _, _, first, last, channel, pitch, velocity)
    assert(first >= 0 and last > first and pitch % 1 == 0 and velocity >= 1 and velocity < 128)
    table.insert(take.notes, { first, last, channel, pitch, velocity })
  end,
  MIDI_Sort = function() end,
  TimeMap2_timeToQN = function(_, at) return at / QN end,
  TimeMap2_QNToTime = function(_, qn) return qn * QN end,
  TimeMap_QNToMeasures = function(_, qn) return qn // 4 + 1, qn // 4 * 4, qn // 4 * 4 + 4 end,
  TimeMap_GetTimeSigAtTime = function() return 4, 4, 120.0 end,
  CountTempoTimeSigMarkers = function() return 1 end,
  GetTempoTimeSigMarker = function() return true, 0.0, 0, 0, 120.0, 4, 4, false end,
  GetSet_LoopTimeRange = function() return os.getenv("HOLE") and 16 * QN or 0, os.getenv("HOLE") and 20 * QN or 0 end,
  CountTracks = function() return #project end,
  InsertTrackAtIndex = function(index) table.insert(project, index + 1, { items = {} }) end,
  GetTrack = function(_, index) return project[index + 1] end,
  GetSetMediaTrackInfo_String = function(track, name, text) if name == "P_NAME" then track.name = text end end,
  CreateNewMIDIItemInProj = function(track, first, last, in_quarters)
    assert(in_quarters)
    table.insert(track.items, item(first, last, {}))
    return track.items[#track.items]
  end,
  CountSelectedTracks = function() return 0 end,
  CountTrackMediaItems = function(track) return #track.items end,
  GetTrackMediaItem = function(track, i) return track.items[i + 1] end,
  GetPlayState = function() return 1 end,
  GetPlayPosition = function() return 4 + clock end,
  time_precise = function() return clock end,
  defer = function(f) deferred[#deferred + 1] = f end,
  Undo_BeginBlock = function() end, Undo_EndBlock = function() end, PreventUIRefresh = function() end, UpdateArrange = function() end,
}

dofile(script)
local give_up = os.time() + 100
while #deferred > 0 and os.time() < give_up and (seconds == 0 or clock < seconds) do
  table.remove(deferred, 1)()
  os.execute("sleep 0.05")
  clock = clock + (seconds == 0 and 0.05 or 0.5)
end
for _, text in ipairs(boxes) do print("box|" .. text) end
for _, track in ipairs(project) do
  for _, it in ipairs(track.items) do
    print(("item|%s|%.3f|%.3f"):format(track.name, it.first, it.last))
    for _, n in ipairs(it.take.notes) do print(("note|%s|%.4f|%.4f|%d|%d"):format(track.name, it.first + n[1] / 480, (n[2] - n[1]) / 480, n[4], n[3])) end
  end
end
