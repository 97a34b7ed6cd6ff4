-- A real Ardour, headless, with our script in it: the script reads a MIDI region, asks for takes, and they come back as regions on
-- new tracks. Run twice by ardour_takes.py: to make a session (MAKE=1), and to use it. Only the dialog and the editor's selection
-- are stand-ins: there is no window.
local OUT, SCRIPT, TASK = os.getenv("OUT"), os.getenv("SCRIPT"), os.getenv("TASK")
AudioEngine:set_backend("None (Dummy)", "", "")
assert(AudioEngine:start() == 0)
local function leave()
  Session:save_state("")
  io.stdout:flush()
  os.exit(0) -- closing an engine politely takes Ardour a minute here
end

if os.getenv("MAKE") then
  create_session(OUT .. "/session", "session", 48000)
  local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
  Session:new_midi_track(midi, midi, true, ARDOUR.PluginInfo(), nil, nil, 1, "Melody",
    ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, false, false)
  leave()
end

load_session(OUT .. "/session", "session")
local melody = Session:route_by_name("Melody")
local regions = melody:to_track():playlist():region_list()
Editor = { get_selection = function() return { regions = { regionlist = function() return regions end } } end }
LuaDialog = {
  Dialog = function() return { run = function()
    return { task = TASK, instruments = TASK == "accompany" and "piano,finger bass" or "", takes = 2, scale = "C major",
      chords = "", bars = TASK == "infill" and "3-4" or "", rhythm = os.getenv("RHYTHM") == "1" }
  end } end,
  Message = function(_, text) print("told|" .. text) return { run = function() end } end,
  MessageType = {}, ButtonType = {},
}
ardour = function() end
assert(loadfile(SCRIPT))()
factory()()

if os.getenv("TIMELINE") then -- let it roll, and call the other script as its timer would
  Session:goto_start(false)
  ARDOUR.LuaAPI.usleep(500000)
  Session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
  ARDOUR.LuaAPI.usleep(1500000)
  assert(loadfile(os.getenv("TIMELINE")))()
  factory()()
  ARDOUR.LuaAPI.usleep(1000000)
  factory()()
end

local function quarters(beats)
  local whole, ticks = tostring(beats):match("(-?%d+):(%d+)")
  return whole + ticks / 1920
end
for route in Session:get_tracks():iter() do
  for region in route:to_track():playlist():region_list():iter() do
    print(table.concat({ "region", route:name(), quarters(region:position():beats()), quarters(region:length():beats()) }, "|"))
    for note in ARDOUR.LuaAPI.note_list(region:to_midiregion():midi_source(0):model()):iter() do
      print(table.concat({ "note", route:name(), note:note(), note:velocity(), note:channel(), quarters(note:time()),
        quarters(note:length()) }, "|"))
    end
  end
end
leave()
