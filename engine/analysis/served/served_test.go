package served

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"jouletop/engine/event"
)

func TestParseSLO(t *testing.T) {
	for _, text := range []string{"", "ttft=500ms", "ttft=500ms,tpot=50ms,e2e=10s"} {
		if s, err := ParseSLO(text); err != nil || s.String() != text {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	if s, err := ParseSLO("e2e=1m, ttft=0.5s"); err != nil || s != (SLO{TTFT: 500 * time.Millisecond, E2E: time.Minute}) {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"x=1s": "want ttft, tpot or e2e", "ttft": "want a time", "ttft=": "want a time", "ttft=500": "want a time", "ttft=0s": "above 0", "tpot=-1ms": "above 0",
		"ttft=1s,ttft=2s": "twice", "ttft=1s,": "want ttft", ",": "want ttft",
	} {
		if s, err := ParseSLO(text); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %+v, %v; want %s", text, s, err, want)
		}
	}
}

// request came at a second, waited, read its prompt and generated n tokens in decode s.
func request(at, queue, prefill, decode float64, n int) event.Request {
	ns := func(s float64) int64 { return int64(math.Round(s * 1e9)) }
	r := event.Request{
		PointID: "p", ArrivalNS: ns(100 + at), StartNS: ns(100 + at + queue), EndNS: ns(100 + at + queue + prefill + decode),
		InputTokens: 10, OutputTokens: n, PrefillS: prefill, DecodeS: decode, TTFTS: queue + prefill, QueueS: queue, GapMaxS: math.NaN(),
	}
	if n > 1 {
		r.GapMaxS = decode / float64(n-1)
	}
	return r
}

func TestSum(t *testing.T) {
	failed := request(3, 0, 0, 0, 0)
	failed.Err, failed.EndNS = "lost", failed.ArrivalNS+2e9
	other := request(0, 0, 1, 0, 1)
	other.PointID = "q"
	all := []event.Request{
		request(0, 0, 0.1, 1, 11), request(1, 0.4, 0.2, 1, 11), request(2, 0, 0.1, 3, 11), request(2.5, 0, 0.1, 0, 1), failed, other,
	}
	got := Sum(all, SLO{TTFT: 500 * time.Millisecond, TPOT: 200 * time.Millisecond})
	if len(got) != 2 || got[0].Point != "p" || got[1].Point != "q" || got[1].Met != 0 {
		t.Fatalf("%+v", got)
	}
	s := got[0]
	// The second is late, the third slow, the fourth has one token, the last failed.
	if s.Requests != 5 || s.Failed != 1 || s.Met != 2 || s.Input != 40 || s.Output != 34 || math.Abs(s.Seconds-5.1) > 1e-9 || math.Abs(s.Goodput()-2/5.1) > 1e-9 {
		t.Errorf("%+v", s)
	}
	near := func(name string, s Spread, mean float64, p ...float64) {
		t.Helper()
		for i := range p {
			if math.Abs(s.Percentiles[i]-p[i]) > 1e-9 || math.Abs(s.Mean-mean) > 1e-9 {
				t.Errorf("%s: %+v, want %g and %v", name, s, mean, p)
				return
			}
		}
	}
	near("TTFT", s.TTFT, 0.225, 0.1, 0.1+0.7*0.5, 0.1+0.85*0.5, 0.1+0.97*0.5) // 0.1, 0.1, 0.1, 0.6
	near("TPOT", s.TPOT, 0.5/3, 0.1, 0.26, 0.28, 0.296)                       // 0.1, 0.1, 0.3
	near("queue", s.Queue, 0.1, 0, 0.28, 0.34, 0.388)
	if s := Sum([]event.Request{failed}, SLO{})[0]; s.Met != 0 || !math.IsNaN(s.TTFT.Mean) || !math.IsNaN(s.E2E.Percentiles[0]) {
		t.Errorf("of none: %+v", s)
	}
	if s := Sum(all[:4], SLO{})[0]; s.Met != 4 {
		t.Errorf("%d of 4 kept to nothing", s.Met)
	}
	if s := Sum(all[:4], SLO{E2E: time.Second})[0]; s.Met != 1 {
		t.Errorf("%d of 4 took no longer than a second", s.Met)
	}
}
