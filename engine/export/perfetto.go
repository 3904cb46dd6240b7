package export

import (
	"cmp"
	"context"
	"io"
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

// Perfetto writes the session as a trace that https://ui.perfetto.dev and
// trace_processor read, to a new file: a slice for every request, phase and iteration
// with its energy where that is stated, every change of the clock, and what was read
// of power, energy counters, clocks and temperature. Times are those of the session.
func Perfetto(ctx context.Context, s *session.Session, path string) error {
	if _, err := Sum(s); err != nil {
		return err
	}
	return create(path, func(w io.Writer) error {
		t := trace{tracer: newTracer(w), ctx: ctx, session: s, gpus: map[string]uint64{}}
		return t.write()
	})
}

// trace is a session being written as a trace.
type trace struct {
	*tracer
	ctx     context.Context
	session *session.Session
	root    uint64
	gpus    map[string]uint64 // tracks
}

func (t *trace) write() error {
	base := t.session.Manifest.TimeBase
	t.root = t.newTrack(0, title(t.session), "")
	if base.WallOffsetNS > 0 { // the time of day, for who asks
		const at = 1
		clock := func(id, ns uint64) message { return message{}.uint(clockID, id).uint(clockTime, ns) }
		t.packet(packetClockSnapshot, message{}.within(snapshotClocks, clock(clockBoottime, at)).within(snapshotClocks, clock(clockRealtime, uint64(base.WallOffsetNS)+at)))
	}
	for _, part := range []func() error{t.requests, t.iterations, t.phases, t.clocks, t.samples, t.power, t.host} {
		if err := part(); err != nil {
			return err
		}
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

// going tells of what keeps it from going on.
func (t *trace) going() error {
	if t.err != nil {
		return t.err
	}
	return t.ctx.Err()
}

// gpu is the track of a GPU.
func (t *trace) gpu(id string) uint64 {
	if _, ok := t.gpus[id]; !ok {
		name := "GPU " + plaintext.Line(id)
		if id == hostTrack {
			name = "host"
		}
		t.gpus[id] = t.newTrack(t.root, name, "")
	}
	return t.gpus[id]
}

// span is a slice to be written.
type span struct {
	from, to int64
	category string
	name     string
	args     []arg
}

// lanes writes slices that may lie over each other on as few tracks as they need, all
// of that name.
func (t *trace) lanes(parent uint64, name string, spans []span) {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var tracks []uint64
	var busy []int64 // until when
	for _, s := range spans {
		at := slices.IndexFunc(busy, func(until int64) bool { return until <= s.from })
		if at < 0 {
			at = len(busy)
			busy, tracks = append(busy, 0), append(tracks, t.newTrack(parent, name, ""))
		}
		busy[at] = max(s.from, s.to)
		t.slice(tracks[at], s.from, s.to, s.category, s.name, s.args...)
	}
}

// byGPU collects rows and writes them by GPU.
func byGPU[T any](t *trace, name string, read func(func(*T) error) error, of func(*T) (gpu string, s span)) error {
	spans := map[string][]span{}
	var ids []string
	err := read(func(r *T) error {
		id, s := of(r)
		if _, ok := spans[id]; !ok {
			ids = append(ids, id)
		}
		spans[id] = append(spans[id], s)
		return t.going()
	})
	for _, id := range ids {
		t.lanes(t.gpu(id), name, spans[id])
	}
	return err
}

// energy is what is known of one; unresolved ones have their bound and no value.
func energy(e event.Energy) []arg {
	return []arg{number("energy_j", e.EnergyJ), number("energy_err_j", e.EnergyErrJ), word("energy_method", plaintext.Line(e.Method))}
}

func (t *trace) requests() error {
	return byGPU(t, "requests", t.session.Requests, func(r *event.RequestEnergy) (string, span) {
		from := r.StartNS
		if r.ArrivalNS > 0 {
			from = min(from, r.ArrivalNS)
		}
		args := append(energy(r.Energy),
			word("request_id", plaintext.Line(r.RequestID)), word("batch_id", plaintext.Line(r.BatchID)), word("point_id", plaintext.Line(r.PointID)),
			word("model", plaintext.Line(r.Model)), word("dataset", plaintext.Line(r.Dataset)), word("query_id", plaintext.Line(r.QueryID)),
			count("batch_size", r.BatchSize), count("input_tokens", r.InputTokens), count("output_tokens", r.OutputTokens), count("cached_tokens", r.CachedTokens),
			number("queue_s", r.QueueS), number("prefill_s", r.PrefillS), number("decode_s", r.DecodeS), number("ttft_s", r.TTFTS), number("tpot_s", r.TPOTS()),
			number("joules_per_token", r.JoulesPerToken()), number("joules_per_total_token", r.JoulesPerTotal()), number("quality", r.Quality), word("flags", plaintext.Line(string(r.Flags))), word("error", plaintext.Line(r.Err)))
		return r.GPU, span{from, r.EndNS, "request", "request", args}
	})
}

func (t *trace) phases() error {
	return byGPU(t, "phases", t.session.Phases, func(r *event.PhaseEnergy) (string, span) {
		args := append(energy(r.Energy),
			word("batch_id", plaintext.Line(r.BatchID)), count("batch_size", r.BatchSize), count("tokens", r.Tokens), requested(r.RequestedSMMHz),
			number("sm_mhz_mean", r.SMMHzMean), yes("mixed_clock", r.MixedClock), number("throttled_pct", r.ThrottledPct), word("flags", plaintext.Line(string(r.Flags))))
		return r.GPU, span{r.StartNS, r.EndNS, "phase", string(r.Phase), args}
	})
}

func (t *trace) iterations() error {
	return byGPU(t, "iterations", t.session.Iterations, func(r *event.IterationEnergy) (string, span) {
		name := "prefill and decode"
		switch {
		case r.PrefillRequests == 0:
			name = "decode"
		case r.DecodeRequests == 0:
			name = "prefill"
		}
		args := append(energy(r.Energy),
			word("iteration_id", plaintext.Line(r.IterationID)), count("prefill_tokens", r.PrefillTokens), count("prefill_requests", r.PrefillRequests),
			count("decode_requests", r.DecodeRequests), count("kv_tokens", r.KVTokens), count("queued", r.Queued), requested(r.RequestedSMMHz),
			number("sm_mhz_mean", r.SMMHzMean), word("flags", plaintext.Line(string(r.Flags))))
		return r.GPU, span{r.StartNS, r.EndNS, "iteration", name, args}
	})
}

// requested is the clock asked for; 0 is the driver's.
func requested(mhz int) arg {
	if mhz == 0 {
		return arg{}
	}
	return count("requested_sm_mhz", mhz)
}

func (t *trace) clocks() error {
	tracks := map[string]uint64{}
	return t.session.Clocks(func(r *event.ClockChange) error {
		if _, ok := tracks[r.GPU]; !ok {
			tracks[r.GPU] = t.newTrack(t.gpu(r.GPU), "clock changes", "")
		}
		name := "SM clock given back"
		if r.RequestedSMMHz > 0 {
			name = "SM clock set"
		}
		t.instant(tracks[r.GPU], r.TimeNS, "clock", name, requested(r.RequestedSMMHz), count("achieved_sm_mhz", r.AchievedSMMHz), number("call_ms", r.CallMS),
			number("settle_ms", r.SettleMS), word("cause", plaintext.Line(r.Cause.String())), word("error", plaintext.Line(r.Err)))
		return t.going()
	})
}

// counters makes tracks of a GPU's counters as they come.
type counters struct {
	*trace
	of map[[2]string]*counterTrack // by GPU and name
}

type counterTrack struct {
	track uint64
	last  float64
}

// put writes a value that is another than the one before: a counter holds its value.
func (c counters) put(gpu, name, unit string, at int64, v float64) {
	if !known(v) {
		return
	}
	key := [2]string{gpu, name}
	k := c.of[key]
	if k == nil {
		k = &counterTrack{c.newTrack(c.gpu(gpu), name, unit), math.NaN()}
		c.of[key] = k
	}
	if v != k.last {
		c.counter(k.track, at, v)
		k.last = v
	}
}

func (t *trace) samples() error {
	c := counters{t, map[[2]string]*counterTrack{}}
	return t.session.Samples(func(r *event.Sample) error {
		c.put(r.GPU, "SM clock", "MHz", r.TimeNS, event.Count(r.SMMHz))
		c.put(r.GPU, "memory clock", "MHz", r.TimeNS, event.Count(r.MemMHz))
		c.put(r.GPU, "temperature", "°C", r.TimeNS, r.TempC)
		c.put(r.GPU, "DRAM bandwidth", "%", r.TimeNS, r.DRAMUtil)
		return t.going()
	})
}

func (t *trace) power() error {
	c := counters{t, map[[2]string]*counterTrack{}}
	return t.session.Power(func(r *event.Power) error {
		source := plaintext.Line(r.Source)
		if gpu.Plausible(r.PowerW) { // what no board draws is in no energy either
			c.put(r.GPU, "power ("+source+")", "W", r.TimeNS, r.PowerW)
		}
		c.put(r.GPU, "energy ("+source+")", "J", r.TimeNS, r.CounterJ)
		return t.going()
	})
}

// host are what the machine around the GPUs told, on a track of its own: none of it is
// in any energy.
func (t *trace) host() error {
	c := counters{t, map[[2]string]*counterTrack{}}
	return t.session.Host(func(r *event.HostPower) error {
		source := plaintext.Line(r.Source)
		c.put(hostTrack, "power ("+source+")", "W", r.TimeNS, r.PowerW)
		c.put(hostTrack, "energy ("+source+")", "J", r.TimeNS, r.CounterJ)
		return t.going()
	})
}

// hostTrack stands for the host where a track is a GPU's.
const hostTrack = "\x00host"
