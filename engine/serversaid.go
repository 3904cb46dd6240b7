package engine

import (
	"context"
	"fmt"
	"math"

	"jouletop/engine/event"
	"jouletop/engine/serverword"
	"jouletop/engine/serving/observed"
)

// serverSaid is what a server's telemetry says while a point is served.
type serverSaid struct {
	from     Telemetry          // nil: nobody tells
	readings []serverword.Timed // the newest
	counted  counted
	ours     []underWay // how many requests were at the server, from when on
	others   float64    // s in which it ran more than these
	told     bool       // that others use it
	lost     int64      // records so far
}

// underWay is how many requests were under way from a time on.
type underWay struct {
	since int64
	n     int
}

// counted is what a server counted, over its restarts.
type counted struct{ read, made, passes float64 }

// kept is how long readings and what was under way are kept, in ns: passes are told late.
const kept = int64(60e9)

func (w *serverSaid) begin(ctx context.Context, from Telemetry) error {
	if w.from = from; from == nil {
		return nil
	}
	from.Take() // what was before is nobody's
	err := from.Look(ctx)
	if r := from.Take().Readings; len(r) > 0 {
		w.readings = r[len(r)-1:]
	}
	w.lost = from.Word().Lost
	return err
}

// sends notes how many requests are at the server from t on.
func (w *serverSaid) sends(t int64, n int) {
	if w.from != nil {
		w.ours = append(w.ours, underWay{t, n})
	}
}

// most is how many requests were at the server at most between two times.
func (w *serverSaid) most(from, to int64) int {
	n := 0
	for i, u := range w.ours {
		if u.since <= to && (i == len(w.ours)-1 || w.ours[i+1].since >= from) {
			n = max(n, u.n)
		}
	}
	return n
}

// take takes in what the server has said since.
func (w *serverSaid) take(p *seenPasses) {
	if w.from == nil {
		return
	}
	said := w.from.Take()
	for _, r := range said.Readings {
		if n := len(w.readings); n > 0 {
			w.counted.add(w.readings[n-1], r)
			const justGone = int64(200e6) // ns; one that has been answered may still have its slot
			if r.Running > float64(w.most(r.AskedNS-justGone, r.TimeNS)) {
				w.others += float64(r.TimeNS-w.readings[n-1].TimeNS) / 1e9
			}
		}
		w.readings = append(w.readings, r)
	}
	for len(w.readings) > 1 && w.readings[len(w.readings)-1].TimeNS-w.readings[0].TimeNS > kept {
		w.readings = w.readings[1:]
	}
	for len(w.ours) > 1 && len(w.readings) > 0 && w.ours[1].since < w.readings[0].TimeNS-kept {
		w.ours = w.ours[1:]
	}
	word := w.from.Word()
	if word.Lost > w.lost || word.Workers > 1 { // of several, whose tokens came from which is not known
		p.live.Distrust()
	}
	w.lost = word.Lost
	if p.on {
		for _, t := range said.Passes {
			p.live.Told(observed.Told{T: t.ReadNS, Prefills: t.Prefills, PrefillTokens: t.PrefillTokens, Decodes: t.Decodes, Queued: t.Queued, Seconds: t.Seconds})
		}
	}
	if w.others > 0 && !w.told {
		w.told = true
		p.s.Warn(fmt.Sprintf("point %s: the server runs more requests than were sent to it from here: others use it too, and what single requests cost meanwhile is not stated", p.s.point.PointID))
	}
}

// add adds what was counted from one reading to the next; after a restart from nothing.
func (c *counted) add(a, b serverword.Timed) {
	more := func(a, b float64) float64 {
		if b < a {
			return b
		}
		return b - a
	}
	c.read += more(a.Read, b.Read)
	c.made += more(a.Made, b.Made)
	c.passes += more(a.Passes, b.Passes)
}

// doubts are those of a pass from start to end by what the server says meanwhile.
func (w *serverSaid) doubts(start, end int64) (f event.Flags) {
	const justGone = int64(200e6)
	for i, r := range w.readings {
		if i > 0 && w.readings[i-1].TimeNS <= end && r.TimeNS >= start && r.Running > float64(w.most(r.AskedNS-justGone, r.TimeNS)) {
			f = f.With(event.FlagPassesDoubtful)
		}
	}
	return f
}

// queued is how many requests waited at about t; -1 unknown.
func (w *serverSaid) queued(t int64) int {
	const near = int64(1e9)
	best, n := near, -1
	for _, r := range w.readings {
		if d := max(r.TimeNS-t, t-r.TimeNS); d < best && r.Waiting >= 0 && r.Waiting < 1e6 {
			best, n = d, int(r.Waiting)
		}
	}
	return n
}

// end says what it all was worth.
func (w *serverSaid) end(ctx context.Context, p *seenPasses) {
	if w.from == nil {
		return
	}
	if ctx.Err() == nil {
		_ = w.from.Look(ctx)
	}
	w.take(p)
	word := event.ServerWord{
		At: p.s.now(), PointID: p.s.point.PointID, ServerTelemetry: w.from.Word(), Concluded: p.iters, OthersS: w.others,
		ReadTokens: w.counted.read, MadeTokens: w.counted.made, Passes: w.counted.passes,
	}
	word.Matched, word.ToldAlone, word.SeenAlone = p.live.Matched()
	p.s.publish(word)
	for _, text := range doubtsOf(word, p.made) {
		p.s.Warn(fmt.Sprintf("point %s: the server's telemetry: %s", word.PointID, text))
	}
}

// doubtsOf words what is wrong with what a server said, made tokens having come from it
// (-1 unknown).
func doubtsOf(w event.ServerWord, made int) (out []string) {
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(w.Stopped, "it stopped; %d of %d looks failed", w.Failed, w.Looks)
	say(!w.Stopped && w.Failed > 0, "%d of %d looks failed", w.Failed, w.Looks)
	say(w.Malformed > 0, "%d pages or records did not read", w.Malformed)
	say(w.Impossible > 0, "%d values cannot be, and were left out", w.Impossible)
	say(w.Restarts > 0, "counters or files began anew %d times: the server, or who writes for it, was started again", w.Restarts)
	say(w.Lost > 0, "%d records of passes are missing, of %d: from then on passes are concluded from the streams alone", w.Lost, w.Lost+int64(w.Records))
	say(w.Workers > 1, "%d workers told of passes; whose tokens came from which is not known, so passes are concluded from the streams alone", w.Workers)
	say(w.SkewSteps > 0, "its clock contradicted itself %d times", w.SkewSteps)
	const off, spare = 0.02, 16 // of the tokens
	if d := w.MadeTokens - float64(made); made >= 0 && w.Restarts == 0 && !math.IsNaN(d) {
		say(d > off*float64(made)+spare, "it generated %.0f tokens, of which %d came here: others use it too", w.MadeTokens, made)
		say(d < -off*float64(made)-spare, "it counts %.0f tokens generated, where %d came: its counters are not believed", w.MadeTokens, made)
	}
	const blurred = 0.05 // of the passes
	say(w.Restarts == 0 && w.OthersS == 0 && math.Abs(float64(w.Concluded)-w.Passes) > blurred*w.Passes+spare,
		"it made %.0f passes, where %d were concluded from when tokens came: the times are blurred by a busy machine or network, and so is what single passes cost", w.Passes, w.Concluded)
	if all := w.Matched + w.ToldAlone; all > 0 && w.ToldAlone*20 > all {
		out = append(out, fmt.Sprintf("%d of %d passes that it told of are not among those that tokens came from", w.ToldAlone, all))
	}
	return out
}
