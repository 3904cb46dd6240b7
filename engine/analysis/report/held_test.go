package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/gpu/sharedtest"
)

const card = "0:GPU-1"

// heldSession records a run of one point and what record adds to it; its batches are
// prefills and decodes one after the other, of which only requests and phases are told.
func heldSession(t *testing.T, keep session.Keep, phases []event.PhaseEnergy, record func(*session.Recorder)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	info := gpu.Info{UUID: "GPU-1", Name: "H100", SMClocks: []int{345, 1005, 1980}, PowerLimitW: 700, MemMHz: -1, MemoryMiB: -1}
	rec, err := session.Create(dir, session.Manifest{Name: "run", Ended: event.HowDone, GPUs: []session.GPU{{ID: card, Info: info}}}, keep)
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for i := 0; i < len(phases); i += 2 {
		p, d := phases[i], phases[i+1]
		rec.Record(event.RequestEnergy{
			Request: event.Request{RequestID: p.BatchID + ".0", BatchID: p.BatchID, PointID: "p", Repeat: 1, GPU: card, Model: "8b", Dataset: "d", QueryID: fmt.Sprint(i), BatchSize: 4,
				Policy: "none", StartNS: p.StartNS, EndNS: d.EndNS, InputTokens: 340, OutputTokens: 60, PrefillS: float64(p.EndNS-p.StartNS) / 1e9, DecodeS: float64(d.EndNS-d.StartNS) / 1e9, Quality: nan},
			Energy: event.Energy{EnergyJ: 100, EnergyErrJ: 1, Method: "buffer"}, NetEnergyJ: 80, ServedEnergy: event.NotServed,
		})
		rec.Record(p)
		rec.Record(d)
	}
	record(rec)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// alternating are n batches: prefills of 120 ms at a mean clock, decodes of 700 ms at
// another.
func alternating(n int, prefillMHz, decodeMHz float64) (out []event.PhaseEnergy) {
	at := int64(1e9)
	for i := range n {
		for _, p := range []struct {
			phase event.Phase
			ms    int64
			mhz   float64
		}{{event.Prefill, 120, prefillMHz}, {event.Decode, 700, decodeMHz}} {
			out = append(out, event.PhaseEnergy{
				PhaseSpan: event.PhaseSpan{BatchID: fmt.Sprintf("p/b%d", i+1), PointID: "p", GPU: card, Phase: p.phase, StartNS: at, EndNS: at + p.ms*1e6, BatchSize: 4, ThrottledPct: math.NaN()},
				SMMHzMean: p.mhz, Energy: event.Energy{EnergyJ: 10, EnergyErrJ: 1, Method: "buffer"},
			})
			at += p.ms * 1e6
		}
	}
	return out
}

// reported are the report's rows of what held the clock, and every format of it.
func reported(t *testing.T, dir string) (rows []string, all string) {
	t.Helper()
	r, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	tables := r.Tables(0.03, false)
	for _, table := range tables {
		if table.ID != "held" {
			continue
		}
		_, texts := table.Texts(false)
		for _, row := range texts {
			rows = append(rows, strings.Join(row[7:], " / "))
		}
	}
	var b strings.Builder
	for _, name := range []string{"text", "md", "csv", "json"} {
		b.WriteString("\n== " + name + "\n")
		if err := Formats[name](&b, tables, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	page := filepath.Join(t.TempDir(), "r.html")
	if err := r.HTML(page, 0.03); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return rows, b.String() + "\n== html\n" + string(text)
}

// A run that is no sweep has no points.csv: what held its clock stands in the event of the
// point's end, and in every report.
func TestReportSaysWhatHeldAPlainRun(t *testing.T) {
	dir := heldSession(t, session.Full, alternating(8, 1755, 1980), func(rec *session.Recorder) {
		d := event.PointDone{At: event.At{TimeNS: 20e9}, Point: event.Point{PointID: "p", GPU: card, Model: "8b", Dataset: "d", BatchSize: 4, Policy: "none", Repeat: 1, Queries: 8}}
		d.Held = event.UnknownHeld()
		d.Held.Prefill, d.Held.Decode = event.Held{By: event.HeldByPower, Pct: 72}, event.Held{By: event.HeldByNothing}
		d.ThrottledPct, d.AchievedSMMHz, d.AchievedLimitW, d.Flags = 10.5, 1950, math.NaN(), event.FlagsOf(event.FlagThrottled)
		rec.Record(d)
	})
	rows, all := reported(t, dir)
	if len(rows) != 1 || rows[0] != "power, 72 % of the time / nothing" {
		t.Errorf("rows %q", rows)
	}
	for _, format := range strings.Split(all, "\n== ")[1:] {
		if !strings.Contains(format, "power, 72 % of the time") {
			t.Errorf("not told in %s", format)
		}
	}
	if !strings.Contains(all, "The power limit binds in prefill of 8b (d) at batch 4: the limit as it was, for up to 72 % of its time") {
		t.Errorf("no sentence in %s", all)
	}
}

// Of a recording that does not say it, it is found by its samples: a card that lowers the
// clock for each prefill.
func TestReportFindsWhatHeldARecordedRun(t *testing.T) {
	phases := alternating(8, 1755, 1980)
	dir := heldSession(t, session.Full, phases, func(rec *session.Recorder) {
		for at := int64(0); at < phases[len(phases)-1].EndNS+1e9; at += 10e6 {
			s := event.Sample{At: event.At{TimeNS: at}, GPU: card, Sample: gpu.UnknownSample()}
			s.SMMHz, s.Throttle = 1980, gpu.ThrottleIdle
			for _, p := range phases {
				if at >= p.StartNS && at < p.EndNS {
					if s.Throttle = 0; p.Phase == event.Prefill {
						s.SMMHz, s.Throttle = 1755, gpu.ThrottleSWPowerCap
					}
				}
			}
			rec.Record(s)
		}
	})
	if rows, _ := reported(t, dir); len(rows) != 1 || rows[0] != "power, 100 % of the time / nothing" {
		t.Errorf("rows %q", rows)
	}
}

// Without samples, phases whose mean clock was the highest were held by nothing; of others
// that alone tells nothing.
func TestReportOfARecordingWithoutSamples(t *testing.T) {
	for _, tt := range []struct {
		prefill, decode float64
		want            string
	}{{1980, 1980, "nothing / nothing"}, {1755, 1980, "unknown / nothing"}, {1755, math.NaN(), ""}} {
		dir := heldSession(t, session.None, alternating(8, tt.prefill, tt.decode), func(*session.Recorder) {})
		if rows, _ := reported(t, dir); strings.Join(rows, "; ") != tt.want {
			t.Errorf("%g and %g MHz: %q, want %s", tt.prefill, tt.decode, rows, tt.want)
		}
	}
}

// 40 requests on an H100 at its default clock and 700 W, recorded without throttle reasons:
// of those at batch 4 the power limit held prefill, and not decode.
func TestReportOfARecordedH100(t *testing.T) {
	read := func(name string) (out []map[string]float64, phase []string) {
		f, err := os.Open(sharedtest.Path(t, "h100", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c := csv.NewReader(f)
		head, err := c.Read()
		for err == nil {
			var row []string
			if row, err = c.Read(); err == nil {
				m := map[string]float64{}
				for i, name := range head {
					if v, err := strconv.ParseFloat(row[i], 64); err == nil {
						m[name] = v
					} else if name == "phase" {
						phase = append(phase, row[i])
					}
				}
				out = append(out, m)
			}
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		return out, phase
	}
	rows, kinds := read("mixed_8b_phases.csv")
	var phases []event.PhaseEnergy
	for i, r := range rows {
		if r["batch"] == 4 && kinds[i] != "idle" {
			phases = append(phases, event.PhaseEnergy{
				PhaseSpan: event.PhaseSpan{BatchID: fmt.Sprintf("p/b%d", len(phases)/2), GPU: card, Phase: event.Phase(kinds[i]), StartNS: int64(r["start_ns"]), EndNS: int64(r["end_ns"]), BatchSize: 4, ThrottledPct: math.NaN()},
				SMMHzMean: math.NaN(), Energy: event.Energy{EnergyJ: math.NaN(), EnergyErrJ: math.NaN(), Method: "unresolved"},
			})
		}
	}
	dir := heldSession(t, session.Full, phases, func(rec *session.Recorder) {
		polled, _ := read("mixed_8b_polled.csv")
		for _, r := range polled {
			at := event.At{TimeNS: int64(r["t_ns"])}
			rec.Record(event.Power{GPU: card, PowerReading: gpu.PowerReading{TimeNS: at.TimeNS, Source: gpu.SourceInstant, PowerW: r["power_instant_mw"] / 1000, CounterJ: math.NaN(), Fresh: true}})
			if mhz := int(r["sm_mhz"]); mhz > 0 {
				s := event.Sample{At: at, GPU: card, Sample: gpu.UnknownSample()}
				s.SMMHz = mhz
				rec.Record(s)
			}
		}
	})
	held, _ := reported(t, dir)
	if len(held) != 1 || !strings.HasPrefix(held[0], "power, ") || !strings.HasSuffix(held[0], " / nothing") {
		t.Errorf("rows %q", held)
	}
}

// What a run came to says it too, for people and for programs.
func TestSummarySaysWhatHeldTheClock(t *testing.T) {
	d := event.PointDone{Point: event.Point{PointID: "p", GPU: card, Model: "8b", Dataset: "d", BatchSize: 4, Policy: "none", Repeat: 1, Queries: 8}}
	d.Held = event.UnknownHeld()
	d.Held.Prefill, d.Held.Decode = event.Held{By: event.HeldByPower, Pct: 72}, event.Held{By: event.HeldByNothing}
	s, err := NewSummary(Summary{Session: heldSession(t, session.None, alternating(2, 1755, 1980), func(*session.Recorder) {})}, 0.3, []event.PointDone{d})
	if err != nil {
		t.Fatal(err)
	}
	var text, program strings.Builder
	if err := errors.Join(s.Write(&text, false), s.Write(&program, true)); err != nil {
		t.Fatal(err)
	}
	if want := "The power limit binds in prefill of 8b (d) at batch 4: the limit as it was, for up to 72 % of its time"; !strings.Contains(strings.Join(strings.Fields(text.String()), " "), want) {
		t.Errorf("no %q in %s", want, text.String())
	}
	for _, want := range []string{`"by": "power"`, `"pct": 72`, `"by": "nothing"`, `"verdicts"`} {
		if !strings.Contains(program.String(), want) {
			t.Errorf("no %s in %s", want, program.String())
		}
	}
}

// A long run is told of minute by minute: what is alike is one row.
func TestReportOfMinutes(t *testing.T) {
	held := func(pct float64, by event.HeldBy) event.HeldPhases {
		h := event.UnknownHeld()
		h.Prefill, h.Decode = event.Held{By: by, Pct: pct}, event.Held{By: event.HeldByNothing}
		return h
	}
	record := func(minutes ...event.Bound) []string {
		dir := heldSession(t, session.Full, alternating(2, 1980, 1980), func(rec *session.Recorder) {
			for i, b := range minutes {
				b.At, b.FromNS, b.GPU = event.At{TimeNS: 1e9 + int64(i+1)*60e9}, 1e9+int64(i)*60e9, card
				rec.Record(b)
			}
		})
		r, err := Load([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, table := range r.Tables(0.03, false) {
			if table.ID == "minutes" {
				_, rows := table.Texts(false)
				for _, row := range rows {
					out = append(out, strings.Join(row[2:7], "|"))
				}
			}
		}
		return out
	}
	got := record(event.Bound{LimitW: 700, Held: held(0, event.HeldByNothing)}, event.Bound{LimitW: 700, Held: held(60, event.HeldByPower)},
		event.Bound{LimitW: 700, Held: held(80, event.HeldByPower)}, event.Bound{LimitW: 500, Held: held(100, event.HeldByPower)})
	want := []string{"0|60|700|nothing|nothing", "60|180|700|power, 70 % of the time|nothing", "180|240|500|power, 100 % of the time|nothing"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := record(event.Bound{LimitW: 700, Held: held(0, event.HeldByNothing)}); len(got) != 0 {
		t.Errorf("rows %q where nothing held it", got)
	}
}
