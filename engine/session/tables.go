package session

import (
	"fmt"
	"math"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

var nan = math.NaN()

var samplesTable = table[event.Sample]{
	file:  SamplesFile,
	blank: event.Sample{Sample: gpu.UnknownSample()},
	columns: []column[event.Sample]{
		required(nanos("t_ns", func(r *event.Sample) *int64 { return &r.TimeNS })),
		text("gpu", func(r *event.Sample) *string { return &r.GPU }),
		whole("sm_mhz", func(r *event.Sample) *int { return &r.SMMHz }),
		whole("mem_mhz", func(r *event.Sample) *int { return &r.MemMHz }),
		requestedClock(func(r *event.Sample) *int { return &r.RequestedSMMHz }),
		number("temp_c", 4, func(r *event.Sample) *float64 { return &r.TempC }),
		number("gpu_util_pct", 4, func(r *event.Sample) *float64 { return &r.GPUUtil }),
		number("dram_util_pct", 4, func(r *event.Sample) *float64 { return &r.DRAMUtil }),
		number("tensor_util_pct", 4, func(r *event.Sample) *float64 { return &r.TensorUtil }),
		number("mem_used_mib", 7, func(r *event.Sample) *float64 { return &r.MemUsedMiB }),
		{
			name: "throttle",
			put:  func(b []byte, r *event.Sample) []byte { return append(b, r.Throttle.String()...) },
			set: func(r *event.Sample, s string) (err error) {
				r.Throttle, err = gpu.ParseThrottle(s)
				return err
			},
		},
	},
}

var powerTable = table[event.Power]{
	file:  PowerFile,
	blank: event.Power{PowerReading: gpu.PowerReading{PowerW: nan, CounterJ: nan, Fresh: true}},
	columns: []column[event.Power]{
		required(nanos("t_ns", func(r *event.Power) *int64 { return &r.TimeNS })),
		text("gpu", func(r *event.Power) *string { return &r.GPU }),
		required(text("source", func(r *event.Power) *string { return &r.Source })),
		number("power_w", 7, func(r *event.Power) *float64 { return &r.PowerW }),
		number("energy_counter_j", 15, func(r *event.Power) *float64 { return &r.CounterJ }),
		flag("fresh", func(r *event.Power) *bool { return &r.Fresh }),
	},
}

var hostTable = table[event.HostPower]{
	file:  HostFile,
	blank: event.HostPower{PowerW: nan, CounterJ: nan},
	columns: []column[event.HostPower]{
		required(nanos("t_ns", func(r *event.HostPower) *int64 { return &r.TimeNS })),
		required(text("host_source", func(r *event.HostPower) *string { return &r.Source })),
		number("power_w", 7, func(r *event.HostPower) *float64 { return &r.PowerW }),
		number("energy_counter_j", 15, func(r *event.HostPower) *float64 { return &r.CounterJ }),
	},
}

var phasesTable = table[event.PhaseEnergy]{
	file:  PhasesFile,
	older: olderPhase,
	blank: event.PhaseEnergy{
		PhaseSpan: event.PhaseSpan{BatchSize: -1, Tokens: -1, ThrottledPct: nan},
		SMMHzMean: nan, Energy: noEnergy,
	},
	columns: []column[event.PhaseEnergy]{
		text("batch_id", func(r *event.PhaseEnergy) *string { return &r.BatchID }),
		text("gpu", func(r *event.PhaseEnergy) *string { return &r.GPU }),
		required(column[event.PhaseEnergy]{
			name: "phase",
			put:  func(b []byte, r *event.PhaseEnergy) []byte { return append(b, r.Phase...) },
			set: func(r *event.PhaseEnergy, s string) error {
				r.Phase = event.Phase(s)
				switch r.Phase {
				case event.Prefill, event.Decode, event.Score, event.Mixed, event.Idle, event.Draft, event.Verify:
					return nil
				}
				return fmt.Errorf("%q is not a phase", s)
			},
		}),
		required(nanos("start_ns", func(r *event.PhaseEnergy) *int64 { return &r.StartNS })),
		required(nanos("end_ns", func(r *event.PhaseEnergy) *int64 { return &r.EndNS })),
		whole("batch_size", func(r *event.PhaseEnergy) *int { return &r.BatchSize }),
		whole("tokens", func(r *event.PhaseEnergy) *int { return &r.Tokens }),
		requestedClock(func(r *event.PhaseEnergy) *int { return &r.RequestedSMMHz }),
		number("sm_mhz_mean", 6, func(r *event.PhaseEnergy) *float64 { return &r.SMMHzMean }),
		number("energy_j", 7, func(r *event.PhaseEnergy) *float64 { return &r.EnergyJ }),
		number("energy_err_j", 4, func(r *event.PhaseEnergy) *float64 { return &r.EnergyErrJ }),
		text("energy_method", func(r *event.PhaseEnergy) *string { return &r.Method }),
		flag("mixed_clock", func(r *event.PhaseEnergy) *bool { return &r.MixedClock }),
		flags(func(r *event.PhaseEnergy) *event.Flags { return &r.Flags }),
		text("model", func(r *event.PhaseEnergy) *string { return &r.Model }),
		number("throttled_pct", 4, func(r *event.PhaseEnergy) *float64 { return &r.ThrottledPct }),
		text("point_id", func(r *event.PhaseEnergy) *string { return &r.PointID }),
	},
}

var noEnergy = event.Energy{EnergyJ: nan, EnergyErrJ: nan}

var requestsTable = table[event.RequestEnergy]{
	file:  RequestsFile,
	older: olderRequest,
	blank: event.RequestEnergy{
		Request: event.Request{Repeat: -1, BatchSize: -1, PointBatchSize: -1, InputTokens: -1, OutputTokens: -1,
			PrefillS: nan, DecodeS: nan, TTFTS: nan, CachedTokens: -1, QueueS: nan, GapMaxS: nan, ServerPrefillS: nan, ServerDecodeS: nan, Quality: nan, Output: event.Output{Choice: -1}},
		Energy: noEnergy, NetEnergyJ: nan, ServedEnergy: event.NotServed, DraftedEnergy: event.NotDrafted,
	},
	columns: []column[event.RequestEnergy]{
		required(text("request_id", func(r *event.RequestEnergy) *string { return &r.RequestID })),
		text("batch_id", func(r *event.RequestEnergy) *string { return &r.BatchID }),
		text("point_id", func(r *event.RequestEnergy) *string { return &r.PointID }),
		whole("repeat", func(r *event.RequestEnergy) *int { return &r.Repeat }),
		text("gpu", func(r *event.RequestEnergy) *string { return &r.GPU }),
		text("model", func(r *event.RequestEnergy) *string { return &r.Model }),
		text("dataset", func(r *event.RequestEnergy) *string { return &r.Dataset }),
		text("query_id", func(r *event.RequestEnergy) *string { return &r.QueryID }),
		text("class", func(r *event.RequestEnergy) *string { return &r.Class }),
		whole("batch_size", func(r *event.RequestEnergy) *int { return &r.BatchSize }),
		text("policy", func(r *event.RequestEnergy) *string { return &r.Policy }),
		requestedClock(func(r *event.RequestEnergy) *int { return &r.RequestedSMMHz }),
		required(nanos("start_ns", func(r *event.RequestEnergy) *int64 { return &r.StartNS })),
		required(nanos("end_ns", func(r *event.RequestEnergy) *int64 { return &r.EndNS })),
		whole("input_tokens", func(r *event.RequestEnergy) *int { return &r.InputTokens }),
		whole("output_tokens", func(r *event.RequestEnergy) *int { return &r.OutputTokens }),
		number("prefill_s", 9, func(r *event.RequestEnergy) *float64 { return &r.PrefillS }),
		number("decode_s", 9, func(r *event.RequestEnergy) *float64 { return &r.DecodeS }),
		derived("latency_s", 9, func(r *event.RequestEnergy) float64 { return r.LatencyS() }),
		number("energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.EnergyJ }),
		number("energy_err_j", 4, func(r *event.RequestEnergy) *float64 { return &r.EnergyErrJ }),
		text("energy_method", func(r *event.RequestEnergy) *string { return &r.Method }),
		number("net_energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.NetEnergyJ }),
		derived("joules_per_token", 7, func(r *event.RequestEnergy) float64 { return r.JoulesPerToken() }),
		derived("edp_js", 7, func(r *event.RequestEnergy) float64 { return r.EnergyJ * r.LatencyS() }),
		number("quality", 6, func(r *event.RequestEnergy) *float64 { return &r.Quality }),
		text("quality_metric", func(r *event.RequestEnergy) *string { return &r.QualityMetric }),
		flag("mixed_clock", func(r *event.RequestEnergy) *bool { return &r.MixedClock }),
		text("error", func(r *event.RequestEnergy) *string { return &r.Err }),
		flags(func(r *event.RequestEnergy) *event.Flags { return &r.Flags }),
		number("ttft_s", 9, func(r *event.RequestEnergy) *float64 { return &r.TTFTS }),
		derived("tpot_s", 9, func(r *event.RequestEnergy) float64 { return r.TPOTS() }),
		whole("cached_tokens", func(r *event.RequestEnergy) *int { return &r.CachedTokens }),
		orNone(nanos("arrival_ns", func(r *event.RequestEnergy) *int64 { return &r.ArrivalNS }), func(r *event.RequestEnergy) bool { return r.ArrivalNS == 0 }),
		number("queue_s", 9, func(r *event.RequestEnergy) *float64 { return &r.QueueS }),
		number("gap_max_s", 9, func(r *event.RequestEnergy) *float64 { return &r.GapMaxS }),
		whole("point_batch_size", func(r *event.RequestEnergy) *int { return &r.PointBatchSize }),
		flag("routed", func(r *event.RequestEnergy) *bool { return &r.Routed }),
		text("energy_split", func(r *event.RequestEnergy) *string { return (*string)(&r.Split) }),
		number("marginal_energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.MarginalJ }),
		number("marginal_energy_err_j", 4, func(r *event.RequestEnergy) *float64 { return &r.MarginalErrJ }),
		number("idle_energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.IdleJ }),
		number("token_share_j", 7, func(r *event.RequestEnergy) *float64 { return &r.TokenJ }),
		number("capped_token_share_j", 7, func(r *event.RequestEnergy) *float64 { return &r.CappedJ }),
		number("server_prefill_s", 9, func(r *event.RequestEnergy) *float64 { return &r.ServerPrefillS }),
		number("server_decode_s", 9, func(r *event.RequestEnergy) *float64 { return &r.ServerDecodeS }),
		derived("joules_per_total_token", 7, func(r *event.RequestEnergy) float64 { return r.JoulesPerTotal() }),
		text("draft", func(r *event.RequestEnergy) *string { return &r.Draft }),
		orNone(whole("draft_depth", func(r *event.RequestEnergy) *int { return &r.DraftDepth }), func(r *event.RequestEnergy) bool { return r.Draft == "" }),
		orNone(whole("draft_tokens", func(r *event.RequestEnergy) *int { return &r.DraftTokens }), notDrafted),
		orNone(whole("accepted_tokens", func(r *event.RequestEnergy) *int { return &r.AcceptedTokens }), notDrafted),
		derived("acceptance", 6, func(r *event.RequestEnergy) float64 { return r.Acceptance() }),
		orNone(number("draft_energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.DraftJ }), notDrafted),
		orNone(number("draft_energy_err_j", 4, func(r *event.RequestEnergy) *float64 { return &r.DraftErrJ }), notDrafted),
		orNone(number("verify_energy_j", 7, func(r *event.RequestEnergy) *float64 { return &r.VerifyJ }), notDrafted),
		orNone(number("verify_energy_err_j", 4, func(r *event.RequestEnergy) *float64 { return &r.VerifyErrJ }), notDrafted),
		derived("joules_per_accepted_token", 7, func(r *event.RequestEnergy) float64 { return r.JoulesPerAccepted() }),
	},
}

func notDrafted(r *event.RequestEnergy) bool { return !r.Drafts() }

var iterationsTable = table[event.IterationEnergy]{
	file: IterationsFile,
	blank: event.IterationEnergy{
		IterationSpan: event.IterationSpan{PrefillTokens: -1, PrefillRequests: -1, DecodeRequests: -1, KVTokens: -1, Queued: -1, Evaluations: -1},
		SMMHzMean:     nan, Energy: noEnergy,
	},
	columns: []column[event.IterationEnergy]{
		required(text("iteration_id", func(r *event.IterationEnergy) *string { return &r.IterationID })),
		text("gpu", func(r *event.IterationEnergy) *string { return &r.GPU }),
		text("model", func(r *event.IterationEnergy) *string { return &r.Model }),
		required(nanos("start_ns", func(r *event.IterationEnergy) *int64 { return &r.StartNS })),
		required(nanos("end_ns", func(r *event.IterationEnergy) *int64 { return &r.EndNS })),
		whole("prefill_tokens", func(r *event.IterationEnergy) *int { return &r.PrefillTokens }),
		whole("prefill_requests", func(r *event.IterationEnergy) *int { return &r.PrefillRequests }),
		whole("decode_requests", func(r *event.IterationEnergy) *int { return &r.DecodeRequests }),
		whole("kv_tokens", func(r *event.IterationEnergy) *int { return &r.KVTokens }),
		whole("queued", func(r *event.IterationEnergy) *int { return &r.Queued }),
		requestedClock(func(r *event.IterationEnergy) *int { return &r.RequestedSMMHz }),
		number("sm_mhz_mean", 6, func(r *event.IterationEnergy) *float64 { return &r.SMMHzMean }),
		number("energy_j", 7, func(r *event.IterationEnergy) *float64 { return &r.EnergyJ }),
		number("energy_err_j", 4, func(r *event.IterationEnergy) *float64 { return &r.EnergyErrJ }),
		text("energy_method", func(r *event.IterationEnergy) *string { return &r.Method }),
		flags(func(r *event.IterationEnergy) *event.Flags { return &r.Flags }),
		whole("evaluations", func(r *event.IterationEnergy) *int { return &r.Evaluations }),
		text("origin", func(r *event.IterationEnergy) *string { return (*string)(&r.Origin) }),
	},
}

var clocksTable = table[event.ClockChange]{
	file:  ClocksFile,
	blank: event.ClockChange{AchievedSMMHz: -1, CallMS: nan, SettleMS: nan, DelayMS: nan},
	columns: []column[event.ClockChange]{
		required(nanos("t_ns", func(r *event.ClockChange) *int64 { return &r.TimeNS })),
		text("gpu", func(r *event.ClockChange) *string { return &r.GPU }),
		requestedClock(func(r *event.ClockChange) *int { return &r.RequestedSMMHz }),
		whole("achieved_sm_mhz", func(r *event.ClockChange) *int { return &r.AchievedSMMHz }),
		number("call_ms", 6, func(r *event.ClockChange) *float64 { return &r.CallMS }),
		number("settle_ms", 6, func(r *event.ClockChange) *float64 { return &r.SettleMS }),
		{
			name: "cause",
			put: func(b []byte, r *event.ClockChange) []byte {
				return appendText(b, plaintext.Cell(r.Cause.String()))
			},
			set: func(r *event.ClockChange, s string) error {
				return r.Cause.UnmarshalText([]byte(plaintext.FromCell(s)))
			},
		},
		text("error", func(r *event.ClockChange) *string { return &r.Err }),
	},
}

var pointsTable = table[event.PointDone]{
	file:  PointsFile,
	older: olderPoint,
	blank: blankPoint,
	columns: []column[event.PointDone]{
		required(text("point_id", func(r *event.PointDone) *string { return &r.PointID })),
		text("gpu", func(r *event.PointDone) *string { return &r.GPU }),
		text("model", func(r *event.PointDone) *string { return &r.Model }),
		text("dataset", func(r *event.PointDone) *string { return &r.Dataset }),
		whole("batch_size", func(r *event.PointDone) *int { return &r.BatchSize }),
		text("policy", func(r *event.PointDone) *string { return &r.Policy }),
		requestedClock(func(r *event.PointDone) *int { return &r.RequestedSMMHz }),
		number("achieved_sm_mhz", 6, func(r *event.PointDone) *float64 { return &r.AchievedSMMHz }),
		whole("repeat", func(r *event.PointDone) *int { return &r.Repeat }),
		whole("queries", func(r *event.PointDone) *int { return &r.Queries }),
		number("input_tokens", 7, func(r *event.PointDone) *float64 { return &r.InputTokens }),
		number("output_tokens", 7, func(r *event.PointDone) *float64 { return &r.OutputTokens }),
		number("prefill_s", 9, func(r *event.PointDone) *float64 { return &r.PrefillS }),
		number("decode_s", 9, func(r *event.PointDone) *float64 { return &r.DecodeS }),
		number("latency_s", 9, func(r *event.PointDone) *float64 { return &r.LatencyS }),
		number("tokens_per_s", 7, func(r *event.PointDone) *float64 { return &r.TokensPerS }),
		number("energy_j", 7, func(r *event.PointDone) *float64 { return &r.EnergyJ }),
		number("energy_err_j", 4, func(r *event.PointDone) *float64 { return &r.EnergyErrJ }),
		text("energy_method", func(r *event.PointDone) *string { return &r.Method }),
		number("net_energy_j", 7, func(r *event.PointDone) *float64 { return &r.NetEnergyJ }),
		number("prefill_energy_j", 7, func(r *event.PointDone) *float64 { return &r.PrefillEnergyJ }),
		number("decode_energy_j", 7, func(r *event.PointDone) *float64 { return &r.DecodeEnergyJ }),
		number("joules_per_token", 7, func(r *event.PointDone) *float64 { return &r.JoulesPerToken }),
		number("edp_js", 7, func(r *event.PointDone) *float64 { return &r.EDPJS }),
		number("mean_power_w", 6, func(r *event.PointDone) *float64 { return &r.MeanPowerW }),
		number("quality", 6, func(r *event.PointDone) *float64 { return &r.Quality }),
		number("throttled_pct", 5, func(r *event.PointDone) *float64 { return &r.ThrottledPct }),
		number("temp_start_c", 4, func(r *event.PointDone) *float64 { return &r.TempStartC }),
		number("temp_end_c", 4, func(r *event.PointDone) *float64 { return &r.TempEndC }),
		flags(func(r *event.PointDone) *event.Flags { return &r.Flags }),
		text("error", func(r *event.PointDone) *string { return &r.PointResult.Err }),
		flag("routed", func(r *event.PointDone) *bool { return &r.Routed }),
		requestedKnob("requested_mem_mhz", func(r *event.PointDone) *int { return &r.Knobs.MemMHz }),
		number("achieved_mem_mhz", 6, func(r *event.PointDone) *float64 { return &r.AchievedMemMHz }),
		requestedKnob("requested_power_limit_w", func(r *event.PointDone) *int { return &r.Knobs.PowerW }),
		number("achieved_power_limit_w", 6, func(r *event.PointDone) *float64 { return &r.AchievedLimitW }),
		requestedKnob("requested_profiles", func(r *event.PointDone) *int { return &r.Knobs.Profiles }),
		heldBy("prefill_held_by", func(r *event.PointDone) *event.Held { return &r.Held.Prefill }),
		heldPct("prefill_held_pct", func(r *event.PointDone) *event.Held { return &r.Held.Prefill }),
		heldBy("decode_held_by", func(r *event.PointDone) *event.Held { return &r.Held.Decode }),
		heldPct("decode_held_pct", func(r *event.PointDone) *event.Held { return &r.Held.Decode }),
		heldBy("score_held_by", func(r *event.PointDone) *event.Held { return &r.Held.Score }),
		heldPct("score_held_pct", func(r *event.PointDone) *event.Held { return &r.Held.Score }),
		heldBy("mixed_held_by", func(r *event.PointDone) *event.Held { return &r.Held.Mixed }),
		heldPct("mixed_held_pct", func(r *event.PointDone) *event.Held { return &r.Held.Mixed }),
		derived("joules_per_total_token", 7, func(r *event.PointDone) float64 { return r.JoulesPerTotal() }),
		text("draft", func(r *event.PointDone) *string { return &r.Draft }),
		orNone(whole("draft_depth", func(r *event.PointDone) *int { return &r.DraftDepth }), func(r *event.PointDone) bool { return r.Draft == "" }),
		number("draft_tokens", 7, func(r *event.PointDone) *float64 { return &r.MeanDraftTokens }),
		number("accepted_tokens", 7, func(r *event.PointDone) *float64 { return &r.MeanAcceptedTokens }),
		derived("acceptance", 6, func(r *event.PointDone) float64 { return r.Acceptance() }),
		number("draft_energy_j", 7, func(r *event.PointDone) *float64 { return &r.DraftJ }),
		number("draft_energy_err_j", 4, func(r *event.PointDone) *float64 { return &r.DraftErrJ }),
		number("verify_energy_j", 7, func(r *event.PointDone) *float64 { return &r.VerifyJ }),
		number("verify_energy_err_j", 4, func(r *event.PointDone) *float64 { return &r.VerifyErrJ }),
		derived("joules_per_accepted_token", 7, func(r *event.PointDone) float64 { return r.JoulesPerAccepted() }),
		counted("limits_counted_s", func(c *event.Counted) *float64 { return &c.ForS }),
		counted("power_counted_pct", func(c *event.Counted) *float64 { return &c.PowerPct }),
		counted("heat_counted_pct", func(c *event.Counted) *float64 { return &c.HeatPct }),
		text("limits_counted_doubt", func(r *event.PointDone) *string { return &r.Held.Counted.Doubt }),
	},
}

func heldBy[T any](name string, at func(*T) *event.Held) column[T] {
	return text(name, func(r *T) *string { return (*string)(&at(r).By) })
}

func heldPct[T any](name string, at func(*T) *event.Held) column[T] {
	return number(name, 4, func(r *T) *float64 { return &at(r).Pct })
}

// counted is a column of what the driver counted; empty where it counted nothing.
func counted(name string, at func(*event.Counted) *float64) column[event.PointDone] {
	return orNone(number(name, 4, func(r *event.PointDone) *float64 { return at(&r.Held.Counted) }),
		func(r *event.PointDone) bool { return !r.Held.Counted.Known() })
}

var blankPoint = event.PointDone{
	Point: event.Point{BatchSize: -1, Repeat: -1, Queries: -1},
	PointResult: event.PointResult{
		AchievedSMMHz: nan, AchievedMemMHz: nan, AchievedLimitW: nan, Held: event.UnknownHeld(), InputTokens: nan, OutputTokens: nan, PrefillS: nan, DecodeS: nan, LatencyS: nan,
		TokensPerS: nan, Energy: noEnergy, NetEnergyJ: nan, PrefillEnergyJ: nan, DecodeEnergyJ: nan,
		JoulesPerToken: nan, EDPJS: nan, MeanPowerW: nan, Quality: nan, ThrottledPct: nan, TempStartC: nan, TempEndC: nan,
		Drafted: event.NoneDrafted,
	},
}

// flags is the flags column.
func flags[T any](at func(*T) *event.Flags) column[T] {
	return text("flags", func(r *T) *string { return (*string)(at(r)) })
}

// orNone leaves a column empty where there is nothing to say.
func orNone[T any](c column[T], none func(*T) bool) column[T] {
	put := c.put
	c.put = func(b []byte, r *T) []byte {
		if none(r) {
			return b
		}
		return put(b, r)
	}
	return c
}

// requestedClock is the requested SM clock in MHz; empty where none was
// requested and the driver chose (0 in memory).
func requestedClock[T any](at func(*T) *int) column[T] { return requestedKnob("requested_sm_mhz", at) }

// requestedKnob is a knob's requested value; empty where it was left to the driver.
func requestedKnob[T any](name string, at func(*T) *int) column[T] {
	return orNone(whole(name, at), func(r *T) bool { return *at(r) == 0 })
}
