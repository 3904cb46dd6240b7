package plan

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/usage"
	"jouletop/workloads"
)

func isUsage(err error) bool {
	_, ok := errors.AsType[usage.Error](err)
	return ok
}

func TestServingFlags(t *testing.T) {
	good := Serving{Slots: 32, Chunk: 512, Schedule: "mixed"}
	for name, c := range map[string]struct {
		change func(*Serving)
		want   string // "" none
		on     bool
	}{
		"batches":      {func(*Serving) {}, "", false},
		"open":         {func(s *Serving) { s.Arrivals = "gamma:4:2" }, "", true},
		"closed":       {func(s *Serving) { s.Concurrency, s.Duration = 8, time.Minute }, "", true},
		"both":         {func(s *Serving) { s.Arrivals, s.Concurrency = "poisson:4", 8 }, "give one", true},
		"no slots":     {func(s *Serving) { s.Slots = 0 }, "--slots 0", false},
		"no chunk":     {func(s *Serving) { s.Chunk = 0 }, "--prefill-chunk 0", false},
		"schedule":     {func(s *Serving) { s.Schedule = "fair" }, `--schedule "fair"`, false},
		"no arrivals":  {func(s *Serving) { s.Arrivals = "poisson:0" }, "--arrivals", true},
		"negative":     {func(s *Serving) { s.Concurrency = -1 }, "--concurrency -1", true},
		"backwards":    {func(s *Serving) { s.Concurrency, s.Duration = 1, -time.Second }, "--duration -1s", true},
		"time of what": {func(s *Serving) { s.Duration = time.Second }, "--duration goes with", false},
	} {
		s := good
		c.change(&s)
		err := s.Check()
		if (err == nil) != (c.want == "") || err != nil && (!isUsage(err) || !strings.Contains(fmt.Sprint(err), c.want)) || s.On() != c.on || (s.Manifest() != nil) != c.on {
			t.Errorf("%s: %v, on %v", name, err, s.On())
		}
	}
}

func TestHowManyCome(t *testing.T) {
	file := t.TempDir() + "/t.csv"
	if err := os.WriteFile(file, []byte("Timestamp,Request tokens,Response tokens\n1,2,3\n2,2,3\n9,2,3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		work  Work
		serve Serving
		want  int
	}{
		"each query once":    {Work{}, Serving{Arrivals: "poisson:4"}, 5},
		"as many as said":    {Work{Queries: 9}, Serving{Concurrency: 2}, 9},
		"as long as said":    {Work{}, Serving{Concurrency: 2, Duration: time.Minute}, 0},
		"all of the trace":   {Work{}, Serving{Arrivals: "trace:" + file}, 3},
		"its first 2 s":      {Work{}, Serving{Arrivals: "trace:" + file, Duration: 2 * time.Second}, 2},
		"at twice its speed": {Work{}, Serving{Arrivals: "trace:" + file + ":2", Duration: 2 * time.Second}, 2},
		"first of the trace": {Work{Queries: 2}, Serving{Arrivals: "trace:" + file}, 2},
	} {
		points := []engine.PointPlan{{Queries: make([]workloads.Query, 5)}}
		if err := Serve(&c.work, &c.serve, points, 1); err != nil || points[0].Serving.Requests != c.want || points[0].Point.Queries != c.want {
			t.Errorf("%s: %+v, %v", name, points[0].Serving, err)
		}
	}
	if err := Serve(&Work{}, &Serving{Arrivals: "trace:" + file + "x"}, nil, 1); !errors.Is(err, os.ErrNotExist) || isUsage(err) {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"Timestamp,Request tokens,Response tokens\n1,2,3\n0,2,3\n": "t.csv:3: time goes back",
		"Timestamp,Request tokens,Response tokens\n":               "no request in it",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Serve(&Work{}, &Serving{Arrivals: "trace:" + file}, nil, 1); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestAtOnce(t *testing.T) {
	for _, c := range []struct {
		serve  Serving
		server bool
		want   int
	}{
		{Serving{Slots: 32, Concurrency: 4}, false, 32}, {Serving{Slots: 32, Arrivals: "poisson:1"}, false, 32},
		{Serving{Slots: 32, Concurrency: 4}, true, 4}, {Serving{Slots: 32, Arrivals: "poisson:1"}, true, -1},
	} {
		if got := c.serve.AtOnce(c.server); got != c.want {
			t.Errorf("%+v, server %v: %d", c.serve, c.server, got)
		}
	}
}

func TestServedDatasets(t *testing.T) {
	data, err := ServedDatasets(&Work{})
	if err != nil || len(data) != 2 {
		t.Errorf("%d datasets, %v", len(data), err)
	}
	if _, err := ServedDatasets(&Work{Datasets: []string{"truthfulqa", "boolq"}}); !isUsage(err) || !strings.Contains(err.Error(), "--dataset boolq") {
		t.Error(err)
	}
}
