package report

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// A served session's page has the picture of its passes.
func TestHTMLHasThePasses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	m := session.Manifest{Program: "jouletop test", Name: "run", Plan: session.Plan{Serving: &session.Serving{Concurrency: 2}}, GPUs: []session.GPU{{ID: "0:GPU-1", Sensors: []gpu.PowerSource{{Name: "counter"}}}}}
	rec, err := session.Create(dir, m, session.Full)
	if err != nil {
		t.Fatal(err)
	}
	const ms = int64(1e6)
	for i := range int64(40) {
		s := event.Sample{At: event.At{TimeNS: (10*i + 1) * ms}, GPU: "0:GPU-1", Sample: gpu.UnknownSample()}
		s.SMMHz = 1980
		rec.Record(s)
		rec.Record(event.Power{GPU: "0:GPU-1", PowerReading: gpu.PowerReading{TimeNS: (10*i + 2) * ms, Source: gpu.SourceBuffer, PowerW: 300, Fresh: true}})
		rec.Record(event.IterationEnergy{IterationSpan: event.IterationSpan{IterationID: "i", GPU: "0:GPU-1", StartNS: 10 * i * ms, EndNS: (10*i + 9) * ms, PrefillRequests: 1, DecodeRequests: 2, Queued: 1}})
	}
	rec.Record(event.RequestEnergy{Request: event.Request{RequestID: "r", PointID: "p", Model: "m", Dataset: "d", BatchSize: 1, EndNS: 400 * ms, OutputTokens: 10}, Energy: event.Energy{EnergyJ: 80, EnergyErrJ: 2}})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	course, err := courseOf(r.sessions[0])
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for _, v := range course.Decode {
		mean += v / float64(len(course.Decode))
	}
	if math.Abs(mean-2*0.9*400/399) > 1e-9 || course.PowerSource != gpu.SourceBuffer {
		t.Errorf("%g requests at once, power of %q", mean, course.PowerSource)
	}
	file := filepath.Join(t.TempDir(), "out.html")
	if err := r.HTML(file, 0.03); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`aria-label="passes"`, "waiting for a slot", "power (buffer)", "counter: renewal unknown",
		"What it came to", "m: on d, batch 1, clock driver&#39;s (unfinished), 80.0 ± 2.0 J/query, 8.00 ± 0.20 J/token, 8.00 J/token read too, 0.400 s"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q: %s", want, regexp.MustCompile(`<ul class="summary">.*</ul>`).Find(text))
		}
	}
}

// A page of sessions with names that would be markup: it holds them as text, asks
// nobody for anything, and says what it is.
func TestHTMLHoldsAllAndAsksForNothing(t *testing.T) {
	const evil = `m<script>alert(1)</script>"'&`
	dir := filepath.Join(t.TempDir(), "s")
	m := session.Manifest{
		Program: "jouletop test", Name: "sweep", Simulated: true, Seed: 7, Warnings: []string{"<img src=http://example.org/x>"},
		Models: []engine.ModelInfo{{Name: evil, SHA256: "abc"}},
		Plan:   session.Plan{Models: []string{evil}, Datasets: []string{"d"}, Clocks: []int{1005, 1980}, Batches: []int{1}, Repeats: 2, MaxTokens: 100},
	}
	rec, err := session.Create(dir, m, session.Thin)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []event.PointDone{curvetest.Point(1005, 1, 30, 1.01), curvetest.Point(1005, 2, 31, 1.012), curvetest.Point(1980, 1, 50, 1), curvetest.Point(1980, 2, 51, 1.001)} {
		p.Model = evil
		rec.Record(p)
	}
	rec.Record(event.RequestEnergy{Request: event.Request{RequestID: "r", PointID: "p", Model: evil, Dataset: "d", QueryID: "q", Flags: event.FlagsOf(event.FlagThrottled)}})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "out.html")
	if err := r.HTML(file, 0.03); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{
		"SIMULATED", "run at ", "<svg role=", "m&lt;script&gt;", "throttled", "SHA-256 abc", "&lt;img src=", "--clocks 1005,1980", "--seed 7", "jouletop test",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	asks := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|image|use)\b|<[^>]*\b(src|href)=|@import|url\(`)
	if found := asks.FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
	if len(text) > 2<<20 {
		t.Errorf("%d bytes", len(text))
	}
}
