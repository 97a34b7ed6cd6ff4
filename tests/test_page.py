"""The page in a real headless Chromium: seen, heard, driven by mouse and by keyboard alone. Skipped where none is."""

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mido
import pytest

from anticipation.score.midi import read

pytest.importorskip("aiohttp", reason="the page needs aiohttp")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (the package, not its browsers)")

from jackd import SYNCHRONOUS, serve_jack, unused  # noqa: E402
from stand_in import StandIn  # noqa: E402

from plugin_bridge import controls, feed  # noqa: E402
from plugin_bridge.server import UI, Server  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium here", allow_module_level=True)
FLAGS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required").split()  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def served():
    app = StandIn()
    server = Server(app)
    yield app, server
    server.close()


@pytest.fixture
def open_page(browser):
    """open_page(url, **context) -> a page that is connected. At the end: no error was logged, nothing left here."""
    opened, trouble, asked = [], [], []

    def run(url: str, **kind):
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 1000}} | kind))
        page = context.new_page()
        page.on("console", lambda line: trouble.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: asked.append((request.url, url)))
        page.goto(url)
        page.wait_for_selector('#mind[data-mind="ready"]')
        opened.append(context)
        return page

    run.trouble = trouble
    yield run
    for context in opened:
        context.close()
    here = [re.match(r"http://127\.0\.0\.1:\d+/", url)[0] for _, url in asked]
    assert asked and all(one.startswith((own, "blob:", "data:")) for (one, _), own in zip(asked, here, strict=True))
    assert not trouble, trouble


@pytest.fixture
def page(served, open_page):
    return open_page(served[1].url)


def eventually(test, seconds: float = 30.0) -> None:
    """Wait for what must become true."""
    until = time.monotonic() + seconds
    while not test() and time.monotonic() < until:
        time.sleep(0.02)
    assert test()


def told(page, app) -> bool:
    """Whether the page knows what the app does by now."""
    state = app.state()
    return all(page.evaluate(f"anticipation.state.{name}") == state[name] for name in ("playing", "mode", "band"))


def ink(page, colour: str) -> int:
    """How many pixels of the roll have a colour of the style sheet."""
    return page.evaluate(
        """(name) => {
      const canvas = document.getElementById('roll'), copy = document.createElement('canvas');
      Object.assign(copy, { width: canvas.width, height: canvas.height });
      const g = copy.getContext('2d', { willReadFrequently: true });
      g.drawImage(canvas, 0, 0);
      const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--' + name);
      probe.fillRect(0, 0, 1, 1);
      const want = probe.getImageData(0, 0, 1, 1).data, all = g.getImageData(0, 0, canvas.width, canvas.height).data;
      let found = 0;
      for (let i = 0; i < all.length; i += 4) {
        const far = Math.abs(all[i] - want[0]) + Math.abs(all[i + 1] - want[1]) + Math.abs(all[i + 2] - want[2]);
        if (far < 12 && all[i + 3] > 90) found += 1;
      }
      return found;
    }""",
        colour,
    )


def test_play_and_see_the_roll_move(page, served):
    app, _ = served
    roll = page.locator("#roll")
    assert ink(page, "you") == 0
    page.get_by_role("button", name="Play").click()
    eventually(lambda: app.calls == [("act", "start", {})])
    eventually(
        lambda: ink(page, "v0") > 200 and ink(page, "v1") > 50 and ink(page, "you") > 50 and ink(page, "head") > 50
    )
    first = roll.screenshot()
    eventually(lambda: roll.screenshot() != first)
    page.get_by_role("button", name="Stop", exact=True).click()
    eventually(lambda: app.calls[-1] == ("act", "stop", {}) and not page.evaluate("anticipation.state.playing"))

    def rests() -> bool:
        before = page.evaluate("anticipation.roll.draws"), roll.screenshot()
        page.wait_for_timeout(400)
        return (page.evaluate("anticipation.roll.draws"), roll.screenshot()) == before

    eventually(rests)  # then it costs nothing
    eventually(lambda: re.match(r"Piano roll: \d+ notes heard", roll.get_attribute("aria-label")))


def test_an_instrument_that_is_off_leaves_the_roll(page, served):
    app, _ = served
    page.get_by_role("button", name="Play").click()
    drums = page.get_by_role("switch", name="drums")
    eventually(lambda: ink(page, "v2") > 20)
    drums.click()
    eventually(lambda: app.muted == {"drums"} and drums.get_attribute("aria-checked") == "false")
    eventually(lambda: ink(page, "v2") == 0)


def test_every_control_of_the_table_is_there_with_its_name_and_reaches_the_app(page, served):
    app, _ = served
    for control in controls.TABLE:
        if control.kind == "bool":
            page.get_by_role("switch", name=control.label, exact=True).click()
            wanted = not control.default
        elif control.kind == "choice" and len(control.choices) <= 4:
            wanted = next(one for one in control.choices if one != control.default)
            page.get_by_role("radiogroup", name=control.label, exact=True).get_by_text(wanted, exact=True).click()
        elif control.kind == "choice":
            wanted = control.choices[-1]
            page.get_by_role("combobox", name=control.label).select_option(wanted)
        elif control.kind == "text":
            wanted = {"instruments": "violin,drums"}.get(control.name, "C major")
            page.get_by_role("textbox", name=control.label, exact=True).fill(wanted)
            page.keyboard.press("Enter")
        else:
            wanted = controls.check(control.name, (control.low + 2 * control.high) / 3)
            page.get_by_role("spinbutton", name=f"{control.label}, exact value").fill(str(wanted))
            page.keyboard.press("Enter")
        eventually(lambda c=control, w=wanted: app.controls[c.name] == pytest.approx(w) or app.controls[c.name] == w)


def test_sliders_by_mouse_and_arrows(page, served):
    app, _ = served
    slider = page.get_by_role("slider", name="Density", exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    eventually(lambda: app.controls["density"] == 3)
    assert page.locator("#hint").inner_text() == controls.NAMES["density"].help
    box = page.get_by_role("slider", name="Dynamics").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    eventually(lambda: app.controls["dynamics"] == 2.0)


def test_what_others_set_moves_the_page(page, served):
    app, _ = served
    app.set("density", 11)
    app.set("mode", "loop")
    app.set("chord_lock", True)
    eventually(lambda: page.get_by_role("slider", name="Density", exact=True).input_value() == "11")
    assert page.get_by_role("radio", name="loop").is_checked()
    assert page.get_by_role("switch", name="Chord lock").is_checked()


def test_what_is_refused_is_told_and_undone(page, served, open_page):
    exact = page.get_by_role("spinbutton", name="Density, exact value")
    exact.fill("99")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="density is from 0 to 20").wait_for()
    eventually(lambda: page.get_by_role("slider", name="Density", exact=True).input_value() == "0")
    assert served[0].controls["density"] == 0
    assert len(open_page.trouble) == 1 and "400" in open_page.trouble.pop(), "Chromium's own line about the answer"


def test_a_text_that_is_refused_stays_while_it_is_mended_and_no_longer(page, open_page):
    """And it is told where it is seen, however far down the control is."""
    metre = page.get_by_role("textbox", name="Metre")
    metre.fill("4/4" * 1400)
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text="at most 4,000 characters")
    alert.wait_for()
    box = alert.bounding_box()
    assert 0 <= box["y"] < box["y"] + box["height"] <= 1000
    assert len(metre.input_value()) == 4200 and metre.get_attribute("aria-invalid") == "true"
    metre.blur()
    assert metre.input_value() == "4/4" and metre.get_attribute("aria-invalid") == "false"
    assert len(open_page.trouble) == 1 and "400" in open_page.trouble.pop(), "Chromium's own line about the answer"


def test_a_pedal_learns_to_start_the_band(page, served):
    page.get_by_role("button", name="CC, Start: learn a controller").click()
    eventually(lambda: served[0].learning == "start")
    page.get_by_role("button", name="move…, Start: move a controller now").wait_for()


def test_learning_a_controller(page, served):
    app, _ = served
    button = page.get_by_role("button", name="CC 26, Temperature: learn another controller")
    button.click()
    eventually(lambda: app.learning == "temperature")
    page.get_by_role("button", name="move…, Temperature: move a controller now").wait_for()
    app.learning = None
    app.ccs["temperature"] = app.ccs.pop("density")  # it moved the one that density had
    page.get_by_role("button", name="CC 22, Temperature: learn another controller").wait_for()
    page.get_by_role("button", name="CC, Density: learn a controller").wait_for()


def test_a_take_of_an_earlier_session_has_no_length_that_is_known(page, served):
    served[0].takes["old"] = None
    page.locator("#takes li").filter(has_text="of an earlier session").wait_for()


def test_messages_are_spoken(page, served):
    app, _ = served
    app.act("again")
    status = page.locator("#message")
    eventually(lambda: status.inner_text() == "again: done")
    assert status.get_attribute("aria-live") == "polite" and status.get_attribute("role") == "status"


def test_shortcuts_but_not_while_typing(page, served):
    app, _ = served
    for key, call in (("Space", ("act", "start", {})), ("a", ("act", "again", {})), ("k", ("act", "keep", {})),
                      ("Escape", ("act", "panic", {})), ("1", ("act", "switch", {"instrument": "piano", "on": False})),
                      ("m", ("set", "mode", "answer")), ("Space", ("act", "stop", {}))):  # fmt: skip
        page.keyboard.press(key)
        eventually(lambda call=call: app.calls[-1:] == [call])
        eventually(lambda: told(page, app))
    count = len(app.calls)
    page.get_by_role("textbox", name="Scale").click()
    page.keyboard.type("a k")
    page.get_by_role("switch", name="single-key shortcuts").focus()
    page.keyboard.press("Space")  # off
    eventually(lambda: app.calls[count:] == [("set", "scale", "a k")])
    page.keyboard.press("a")
    page.wait_for_timeout(200)
    assert len(app.calls) == count + 1
    page.reload()
    eventually(lambda: not page.get_by_role("switch", name="single-key shortcuts").is_checked())


def test_by_keyboard_alone(page, served):
    """Tab reaches whatever can be used, in the order of the page, and shows where it is."""
    app, _ = served
    wanted = page.evaluate("""() => [...document.querySelectorAll('a[href], button, input, select')]
        .filter((one) => one.offsetParent && (one.type !== 'radio' || one.checked)).length""")
    seen = []
    for _ in range(wanted + 20):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => { const one = document.activeElement, box = one.getBoundingClientRect();
            return one === document.body ? null : [[...document.querySelectorAll('*')].indexOf(one),
            one.outerHTML.slice(0, 90), getComputedStyle(one).outlineStyle !== 'none' || one.type === 'radio'] }""")
        if here is None or here[0] in [place for place, *_ in seen]:
            break
        seen.append(here)
    assert len(seen) == wanted and all(visible for _, _, visible in seen)
    assert [place for place, *_ in seen] == sorted(place for place, *_ in seen)
    page.locator("#do-play").focus()
    page.keyboard.press("Enter")
    eventually(lambda: app.calls[-1:] == [("act", "start", {})])
    page.get_by_role("radio", name="band").focus()
    page.keyboard.press("ArrowRight")
    eventually(lambda: app.controls["mode"] == "answer")
    page.locator("body").press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0 and ("act", "panic", {}) not in app.calls


def test_everything_has_a_name(page):
    """What a screen reader would say of every button, field and picture."""
    tree = page.locator("body").aria_snapshot()
    for role in ("button", "slider", "spinbutton", "switch", "textbox", "combobox", "radio", "link", "img"):
        nameless = [line for line in tree.splitlines() if re.match(rf"\s*- {role}(\s*:|\s*$|\s*\[)", line)]
        assert not nameless, nameless
    for landmark in ("banner", "main", "contentinfo", 'region "Controls"', 'group "Transport"'):
        assert landmark in tree, landmark
    assert page.locator("html").get_attribute("lang") == "en"


def test_download_a_take(page, served):
    app, _ = served
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download take-1.mid").click()
    assert waiting.value.suggested_filename == "take-1.mid"
    data = Path(waiting.value.path()).read_bytes()
    assert data == app.takes["take-1"] and mido.MidiFile(file=io.BytesIO(data)).length > 7


def test_drag_a_take(page, served):
    found = page.evaluate("""() => {
      const data = new DataTransfer(), item = document.querySelector('#takes li');
      item.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true }));
      return [item.querySelector('strong').textContent, data.getData('DownloadURL'), data.getData('text/uri-list')];
    }""")
    url = f"{served[1].origin}/api/takes/take%202%20%C3%A9.mid"
    assert found == ["take 2 é", f"audio/midi:take 2 é.mid:{url}", url]


def test_listen_to_a_take(page):
    loud = """() => { const { level } = anticipation.synth, wave = new Float32Array(level.fftSize);
              level.getFloatTimeDomainData(wave); return Math.max(...wave.map(Math.abs)); }"""
    page.get_by_role("button", name="Listen to take-1").click()
    stop = page.get_by_role("button", name="Stop take-1")
    stop.wait_for()
    eventually(lambda: page.evaluate(loud) > 0.02)
    eventually(lambda: page.locator("#takes progress:not([hidden])").evaluate("(bar) => bar.value") > 0.02)
    stop.click()
    page.get_by_role("button", name="Listen to take-1").wait_for()
    eventually(lambda: page.evaluate(loud) < 0.002)


def test_the_page_reads_midi_as_the_library_does(page, corpus_files):
    """Its own little reader, on real files: every onset with its pitch, instrument and velocity."""
    checked = 0
    for path in corpus_files[:40]:
        score = read(path)
        data = path.read_bytes()
        if len(data) > 60_000 or data[8:10] == b"\x00\x02" or score.repairs:
            continue
        rows = page.evaluate(
            "async (bytes) => (await import('/ui/midi.js')).readMidi(new Uint8Array(bytes).buffer)"
            ".map((n) => [n.onset, n.pitch, n.instrument, n.velocity])",
            list(data),
        )
        theirs = sorted((round(on, 3), *rest) for on, *rest in rows)
        ours = sorted((round(on, 3), p, i, v) for on, _, p, i, v in score.notes)
        same = sum(a[1:] == b[1:] and abs(a[0] - b[0]) < 0.002 for a, b in zip(theirs, ours, strict=False))
        assert same >= 0.98 * max(len(ours), len(theirs)), path.name  # rounding may swap neighbours
        checked += 1
    assert checked >= 3


def test_the_page_adds_up_changes_as_the_server_makes_them(page):
    dice = random.Random(0)

    def state() -> dict:
        rows = [[dice.randrange(4), dice.choice([None, 0.5]), 60 + dice.randrange(3), 0, 80] for _ in range(5)]
        unique = [list(row) for row in dict.fromkeys(map(tuple, rows))]
        return {"playing": dice.random() < 0.5, "controls": {"a": dice.randrange(2), "b": dice.randrange(2)},
                "notes": {"heard": unique[:2], "played": unique, "planned": []}}  # fmt: skip

    pairs = [(state(), state()) for _ in range(100)]
    results = page.evaluate(
        "async (pairs) => { const { apply } = await import('/ui/api.js'); return pairs.map(([a, b]) => apply(a, b)); }",
        [[old, feed.change(old, new)] for old, new in pairs],
    )
    for (_, new), found in zip(pairs, results, strict=True):
        for notes in (new["notes"], found["notes"]):
            notes.update({kind: sorted(rows, key=str) for kind, rows in notes.items()})
        assert found == new


def test_without_the_token_one_may_look_but_not_touch(served, open_page):
    page = open_page(f"{served[1].origin}/")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("alert").filter(has_text="open the page at the address").wait_for()
    assert not served[0].calls and open_page.trouble.pop().count("401")


def test_the_token_leaves_the_address_bar_and_survives_a_reload(page, served):
    assert page.url == f"{served[1].origin}/"
    page.reload()
    page.wait_for_selector('#mind[data-mind="ready"]')
    page.get_by_role("button", name="Again", exact=True).click()
    eventually(lambda: served[0].calls == [("act", "again", {})])


def test_a_mind_that_dies_and_a_server_that_goes_are_seen(page, served, open_page):
    app, server = served
    app.mind = "restarting"
    page.get_by_text("mind restarting").wait_for()
    server.close()
    page.get_by_text("no connection").wait_for()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("alert").filter(has_text="does not answer").wait_for()
    open_page.trouble.clear()  # Chromium's own lines about the connection


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(served, open_page, scheme):
    """Contrast of text (4.5) and of what is drawn (3) against what lies behind it, by WCAG's formula."""
    page = open_page(served[1].url, color_scheme=scheme)
    colours = page.evaluate("""() => { const style = getComputedStyle(document.documentElement), found = {};
      const g = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      for (const name of ('bg card sunk ink soft accent on-accent danger good warn edge you head '
                          + 'v0 v1 v2 v3 v4 v5 v6 v7').split(' ')) {
        g.fillStyle = style.getPropertyValue('--' + name); g.fillRect(0, 0, 1, 1);
        found[name] = [...g.getImageData(0, 0, 1, 1).data].slice(0, 3); }
      return found; }""")

    def light(name: str) -> float:
        parts = [c / 255 for c in colours[name]]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((light(one), light(other)))
        return (high + 0.05) / (low + 0.05)

    text = [(name, behind) for name in ("ink", "soft", "danger", "accent") for behind in ("bg", "card", "sunk")]
    for one, other in [*text, ("on-accent", "accent"), ("bg", "ink")]:
        assert contrast(one, other) >= 4.5, (one, other, contrast(one, other))
    drawn = ["you", "head", "edge", *(f"v{i}" for i in range(8))]
    for one, other in [(name, "sunk") for name in drawn] + [("good", "bg"), ("warn", "bg"), ("edge", "card")]:
        assert contrast(one, other) >= 3, (one, other, contrast(one, other))


@pytest.mark.parametrize("width", [320, 390, 768, 1100, 1920])
def test_nothing_sticks_out(served, open_page, width):
    page = open_page(served[1].url, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("slider", name="Density", exact=True).scroll_into_view_if_needed()
    assert page.get_by_role("slider", name="Density", exact=True).bounding_box()["width"] > 60


@pytest.mark.parametrize("width", [320, 420, 800, 1280])
def test_no_name_is_cut(served, open_page, width):
    """On the roll what is written lies inside it, and beside the legend; below it a chart has the width of its row; and
    no button of the transport is alone on a line of its own where there is room for it."""
    page = open_page(served[1].url, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Play").click()
    eventually(lambda: ink(page, "v2") > 20 and page.evaluate("anticipation.state.position.seconds") > 1.5)
    page.evaluate("""() => {
      const plain = CanvasRenderingContext2D.prototype.fillText;
      window.written = [];
      CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const wide = this.measureText(text).width;
        const left = this.textAlign === 'right' ? x - wide : x;
        window.written.push([text, left, left + wide]);
        plain.call(this, text, x, y);
      };
    }""")
    eventually(lambda: {"drums", "C4", "1", "2"} <= {text for text, *_ in page.evaluate("window.written")})
    written, free = page.evaluate("""() => {
      const legend = document.querySelector('.legend');
      return [window.written, getComputedStyle(legend).position === 'absolute' ? legend.offsetLeft
        : document.getElementById('roll').clientWidth];
    }""")
    assert all(left > 4 and right < free for text, left, right in written)
    row, field = (page.locator(one).bounding_box() for one in ("#row-chords", "#c-chords"))
    assert field["x"] + field["width"] > row["x"] + row["width"] - 2
    line = {one.bounding_box()["y"] for one in page.locator("#transport button:not(.main)").all()}
    assert len(line) == 1 or width < 400


def test_with_less_motion_the_roll_turns_pages(served, open_page):
    page = open_page(served[1].url, reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    eventually(lambda: ink(page, "v0") > 100)
    assert page.evaluate("anticipation.roll.calm.matches")


def test_what_is_served_needs_nobody_else():
    """No address, no package, no inline script in what is shipped: it works offline, under its own policy."""
    names = {path.name for path in UI.iterdir()}
    for path in UI.glob("*.js"):
        for wanted in re.findall(r"from '([^']+)'", path.read_text(encoding="utf-8")):
            assert wanted.removeprefix("./") in names
    html = (UI / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", html)


def start_live(world, tmp_path):
    """The program, and its page's address. JACK refuses a client that a busy machine has kept waiting for two seconds:
    then it is started once more."""
    command = [sys.executable, "-m", "anticipation", "live", "--api", "jack", "--takes", str(tmp_path / "takes"),
               "--instruments", "piano,finger bass", "--bravery", "1", "--listen", "1"]  # fmt: skip
    for _ in range(2):
        with open(tmp_path / "stderr", "w+", encoding="utf-8") as complaints:
            live = subprocess.Popen(command, env=world, stdout=subprocess.PIPE, stderr=complaints, text=True)
            if told := next((line for line in live.stdout if line.startswith("page: ")), None):
                return live, told.split()[1]
            live.stdout.close()
            ended = f"`anticipate live` ended with {live.wait()}: {(tmp_path / 'stderr').read_text(encoding='utf-8')}"
    raise AssertionError(ended)


@pytest.fixture
def real(tmp_path):
    """`anticipate live` itself under a JACK server of its own, and a player at its input. Yields the page's address."""
    pytest.importorskip("rtmidi", reason="needs python-rtmidi")
    if not shutil.which("jackd"):
        pytest.skip("needs jackd")
    name = unused("anticipation-page")
    world = os.environ | {"JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1", "PYTHONUNBUFFERED": "1",
                          "ANTICIPATION_CONFIG": str(tmp_path)}  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": world}
    running = [serve_jack(name, *SYNCHRONOUS, period=256)]
    try:
        live, url = start_live(world, tmp_path)
        running.append(live)
        ports = subprocess.run(["jack_lsp"], env=world, capture_output=True, text=True).stdout.split("\n")
        job = {"to": next(port for port in ports if re.match(r"Anticipation.*:in$", port)), "seconds": 240,
               "messages": [[0.5 * i + 0.4 * (kind == 0x80), [kind, 60 + (i * 4) % 12, 90]]
                            for i in range(470) for kind in (0x90, 0x80)]}  # fmt: skip
        player = subprocess.Popen([sys.executable, Path(__file__).parent / "live_client.py"], stdin=subprocess.PIPE,
                                  **quiet)  # fmt: skip
        running.append(player)
        player.stdin.write(json.dumps(job).encode() + b"\n")
        player.stdin.close()
        yield url
    finally:
        for process, patience in zip((*running[1:], running[0]), (30, 3, 3), strict=False):
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stdin):
                if pipe:
                    pipe.close()


def test_the_real_co_pilot(real, open_page):
    """Not a stand-in: the command, its ports, its model, a player; steered from the page, and a take fetched."""
    page = open_page(real)
    page.get_by_role("button", name="Play").click()
    eventually(lambda: page.evaluate("anticipation.state.notes.played.length") > 5, 60)
    eventually(lambda: ink(page, "you") > 30 and ink(page, "v0") + ink(page, "v1") > 30)
    first = page.locator("#roll").screenshot()
    eventually(lambda: page.locator("#roll").screenshot() != first)
    page.get_by_role("spinbutton", name="Density, exact value").fill("3")
    page.keyboard.press("Enter")
    page.get_by_role("switch", name="finger bass").click()
    eventually(lambda: page.evaluate("anticipation.state.controls.density") == 3)
    eventually(lambda: not page.evaluate("anticipation.state.band[1].on"))
    page.get_by_role("button", name="Keep", exact=True).click()
    with page.expect_download() as waiting:
        page.locator("#takes a").first.click(timeout=10_000)
    assert mido.MidiFile(waiting.value.path()).length > 0
    page.get_by_role("button", name="Stop", exact=True).click()
    eventually(lambda: not page.evaluate("anticipation.state.playing"))
