package report

import (
	"fmt"
	"math"

	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
)

// minute is a stretch of a session in which the same held the clock.
type minute struct {
	session, gpu string
	from, to     float64 // s since the first that the session told
	limitW       float64
	held         event.HeldPhases
	n            float64 // of what the session told one by one
}

// mostMinutes is how many of them are listed.
const mostMinutes = 30

// Minutes table what held the SM clock while sessions ran, as they told minute by minute;
// those that follow each other and are alike are one row. No rows where no limit held it.
func Minutes(sessions []*session.Session) (table.Table, error) {
	t := table.Table{ID: "minutes", Title: "what held the SM clock, minute by minute", Columns: []string{"session", "GPU", "from s", "to s", "limit W", "prefill", "decode", "scoring", "serving"}}
	var all []minute
	limited := false
	for _, s := range sessions {
		var told []event.Bound
		err := s.EventsOf(func(e event.Event) error { told = append(told, e.(event.Bound)); return nil }, event.Bound{})
		if err != nil {
			return t, err
		}
		first := int64(math.MaxInt64)
		for _, b := range told {
			first = min(first, b.FromNS)
		}
		fresh := true
		for _, b := range told {
			limited = limited || b.Held.Limited()
			m := minute{plaintext.Line(s.Dir), b.GPU, float64(b.FromNS-first) / 1e9, float64(b.TimeNS-first) / 1e9, b.LimitW, b.Held, 1}
			if last := len(all) - 1; !fresh && all[last].alike(m) {
				all[last].join(m)
				continue
			}
			all, fresh = append(all, m), false
		}
	}
	if !limited {
		return t, nil
	}
	t.Notes = []string{"–: no such phase ran, or what was read of the clock does not tell."}
	for i, m := range all {
		if i == mostMinutes {
			t.Notes = append(t.Notes, fmt.Sprintf("%d more are in events.jsonl (bound).", len(all)-i))
			break
		}
		limit := table.Num(m.limitW, 0)
		if math.IsNaN(m.limitW) {
			limit = table.Word("–")
		}
		row := []table.Cell{table.Word(m.session), table.Word(m.gpu), table.Num(m.from, 0), table.Num(m.to, 0), limit}
		for _, p := range heldKinds {
			text := "–"
			if h := m.held.Of(p); h.Known() {
				text = h.String()
			}
			row = append(row, table.Word(text))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// heldKinds are the kinds of phase of which it is told what held the clock.
var heldKinds = []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed}

// alike tells whether the same held the clock, under the same limit.
func (m *minute) alike(o minute) bool {
	same := m.gpu == o.gpu && (m.limitW == o.limitW || math.IsNaN(m.limitW) && math.IsNaN(o.limitW))
	for _, p := range heldKinds {
		same = same && m.held.Of(p).By == o.held.Of(p).By
	}
	return same
}

// join takes in another that is alike.
func (m *minute) join(o minute) {
	m.to = o.to
	for _, p := range heldKinds {
		h := m.held.Of(p)
		h.Pct = (h.Pct*m.n + o.held.Of(p).Pct) / (m.n + 1)
	}
	m.n++
}
