// Package event is the vocabulary of jouletop's one stream: every fact of a
// run is one Event. Telemetry ([Sample], [Power]) is plentiful and may be
// coalesced for a screen; everything else never drops.
//
// Times are ns of the run's time base (see gpu/timebase). Events are published
// as they become known: telemetry and phases arrive late and out of order, and
// each carries its own time. Unknown numbers are NaN, unknown whole numbers -1.
package event

import "jouletop/gpu"

// Event is one of the types of this package, by value.
type Event interface {
	// When returns the event's own time in ns.
	When() int64
	// Kind returns its name in events.jsonl.
	Kind() string
}

// At is the time of an event, in ns; embedded in every event.
type At struct {
	TimeNS int64 `json:"t_ns"`
}

// When returns the time in ns.
func (a At) When() int64 { return a.TimeNS }

// Phase names what the GPU is doing for a batch.
type Phase string

// The phases. Score is the log-likelihood of given answer options after the
// prompt's prefill; Mixed is several requests in different phases at once. Where tokens
// are drafted, Draft is the drafting model's steps and Verify the model's passes over what
// was drafted, which take turns; Decode is then what is decoded without a draft.
const (
	Prefill Phase = "prefill"
	Decode  Phase = "decode"
	Score   Phase = "score"
	Mixed   Phase = "mixed"
	Idle    Phase = "idle"
	Draft   Phase = "draft"
	Verify  Phase = "verify"
)

// Telemetry.
type (
	// Sample is one poll of a GPU's cheap readings: a row of samples.csv.
	Sample struct {
		At
		GPU            string
		RequestedSMMHz int // 0: the driver's default
		gpu.Sample
	}
	// Power is one reading of a power source: a row of power.csv.
	Power struct {
		GPU              string
		gpu.PowerReading // with the reading's own time
	}
	// LimitTimes are for how long limits held a GPU's clocks, by its driver's counters.
	LimitTimes struct {
		At
		GPU string `json:"gpu"`
		gpu.LimitTimes
	}
	// HostPower is one reading of what the machine around the GPUs draws: a row of
	// host.csv.
	HostPower struct {
		At
		Source   string  // as the manifest's host_sources name it
		PowerW   float64 // NaN: a counter's, or unknown
		CounterJ float64 // J, as the counter stands; NaN: a power's, or unknown
	}
)

// When returns the reading's own time in ns.
func (p Power) When() int64 { return p.TimeNS }

// A run and its parts.
type (
	// RunStart opens a session.
	RunStart struct {
		At
		Name      string `json:"name"` // run, sweep, comparison, prompt, dashboard, monitor
		GPU       string `json:"gpu"`
		Simulated bool   `json:"simulated"`
		Policy    string `json:"policy"`
		Points    int    `json:"points"`   // points (or jobs) planned
		Requests  int    `json:"requests"` // requests planned
	}
	// RunMore adds to what is planned: results called for more.
	RunMore struct {
		At
		Points   int `json:"points"` // more than before
		Requests int `json:"requests"`
	}
	// RunEnd closes it.
	RunEnd struct {
		At
		How How    `json:"how"`
		Err string `json:"error,omitempty"`
	}
	// ModelLoading is progress in loading a model, 0 to 1.
	ModelLoading struct {
		At
		Model    string  `json:"model"`
		Progress float64 `json:"progress"`
	}
	// PointStart opens a point: one configuration, one repeat. A plain run is
	// one point a model, dataset and batch size.
	PointStart struct {
		At
		Point
		// Past: the point is told of once it is over, so that what is sampled meanwhile is
		// not its; its clock is its phases'.
		Past bool `json:"past,omitempty"`
	}
	// PointDone closes it, with its means: a row of points.csv in a sweep.
	PointDone struct {
		At
		Point
		PointResult
	}
	// BatchStart announces a batch about to run.
	BatchStart struct {
		At
		BatchID string   `json:"batch_id"`
		PointID string   `json:"point_id"`
		Queries []string `json:"queries"` // query ids
		Prompt  string   `json:"prompt"`  // the first request's, cut for a screen
		Class   string   `json:"class,omitempty"`
		// Open: requests come and go while it runs; a BatchEnd says how many there were.
		Open bool `json:"open,omitempty"`
		// Pieces: it may last for hours. Its phases follow each other without a pause, each
		// short enough to be measured by itself, and their sum is its energy.
		Pieces bool `json:"pieces,omitempty"`
	}
	// BatchEnd ends a batch that was open: a time in which a model that serves
	// requests was busy, from the first that came until none was left.
	BatchEnd struct {
		At
		BatchID  string `json:"batch_id"`
		Requests int    `json:"requests"` // that it had
	}
	// PhaseStart marks the beginning of a phase of a batch.
	PhaseStart struct {
		At
		BatchID   string `json:"batch_id"`
		GPU       string `json:"gpu"`
		Phase     Phase  `json:"phase"`
		BatchSize int    `json:"batch_size"`
		// Tokens to be processed (prefill, score), or the most that may be
		// generated (decode), over the whole batch.
		Tokens int `json:"tokens"`
	}
	// PhaseEnd marks its end. Its time is EndNS.
	PhaseEnd struct {
		At
		PhaseSpan
	}
	// Iteration is one pass of a model that serves requests as they come. Its time is
	// EndNS.
	Iteration struct {
		At
		IterationSpan
		// Members are all requests in it.
		Members []IterationMember `json:"members"`
	}
	// Token is text generated for one request of the running batch.
	Token struct {
		At
		BatchID string `json:"batch_id"`
		Index   int    `json:"index"` // request within the batch
		Text    string `json:"text"`
		// Made is how many tokens it is; 0: a piece of a server's text, mostly one.
		Made int `json:"made,omitempty"`
	}
	// RequestDone is a finished (or failed) request. Its energy follows as
	// RequestEnergy once the sensors have covered it.
	RequestDone struct {
		At
		Request
	}
	// PhaseEnergy is a row of phases.csv: a phase with its energy.
	PhaseEnergy struct {
		At
		PhaseSpan
		SMMHzMean  float64 `json:"sm_mhz_mean"`
		MixedClock bool    `json:"mixed_clock"` // the requested clock changed within
		Energy
		Flags Flags `json:"flags,omitempty"`
	}
	// IterationEnergy is a row of iterations.csv: an iteration with its energy.
	IterationEnergy struct {
		At
		IterationSpan
		SMMHzMean float64 `json:"sm_mhz_mean"`
		Energy
		Flags Flags `json:"flags,omitempty"`
	}
	// RequestEnergy is a row of requests.csv: a request with its energy.
	RequestEnergy struct {
		At
		Request
		MixedClock bool `json:"mixed_clock"`
		Energy
		NetEnergyJ float64 `json:"net_energy_j"` // less idle power times the time
		ServedEnergy
		DraftedEnergy
	}
	// ClockChange is a clock set, given back, lost or refused: a row of clocks.csv.
	ClockChange struct {
		At
		GPU            string  `json:"gpu"`
		RequestedSMMHz int     `json:"requested_sm_mhz"` // 0: given back to the driver
		AchievedSMMHz  int     `json:"achieved_sm_mhz"`  // once settled; -1 unknown
		CallMS         float64 `json:"call_ms"`
		SettleMS       float64 `json:"settle_ms"` // NaN: not seen to settle
		// DelayMS is from the backend's stamp of the phase boundary to the call; NaN
		// where no phase caused the change.
		DelayMS float64 `json:"delay_ms"`
		Cause   Cause   `json:"cause"`
		Err     string  `json:"error,omitempty"`
	}
	// KnobChange is another knob than the SM clock set, given back, lost or refused.
	// Values are in the driver's unit (see gpu.KnobID).
	KnobChange struct {
		At
		GPU       string     `json:"gpu"`
		Knob      gpu.KnobID `json:"knob"`
		Unit      string     `json:"unit"`
		Requested int        `json:"requested"`          // 0: given back
		Achieved  int        `json:"achieved" null:"-1"` // in force, as read back; -1 unknown
		CallMS    float64    `json:"call_ms"`
		Cause     Cause      `json:"cause"`
		Err       string     `json:"error,omitempty"`
	}
	// Bound says what held the SM clock while there was work under one power limit: some
	// seconds after that began, then once a minute.
	Bound struct {
		At
		GPU    string     `json:"gpu"`
		FromNS int64      `json:"from_ns"`
		LimitW float64    `json:"power_limit_w"` // in force at the end; NaN unknown
		Held   HeldPhases `json:"held"`
	}
	// PolicyNote is a decision of a policy worth showing: a skipped switch, an
	// optimizer's trial.
	PolicyNote struct {
		At
		Text  string  `json:"text"`
		SMMHz int     `json:"sm_mhz,omitempty"`
		Cost  float64 `json:"cost,omitempty"`
	}
	// ServerWord is what a server said of itself while it served a point.
	ServerWord struct {
		At
		PointID string `json:"point_id"`
		ServerTelemetry
		// What the server counted over the point; NaN unknown.
		ReadTokens float64 `json:"read_tokens"`
		MadeTokens float64 `json:"made_tokens"`
		Passes     float64 `json:"passes"`
		// What was concluded from its streams: passes, and of these and of those that the
		// server told of which are the same and which are not.
		Concluded int `json:"concluded"`
		Matched   int `json:"matched"`
		ToldAlone int `json:"told_alone"`
		SeenAlone int `json:"seen_alone"`
		// Others is for how many s the server ran more requests than were sent to it from here.
		OthersS float64 `json:"others_s"`
	}
	// CommandDone is what a command of somebody else's came to as a whole.
	CommandDone struct {
		At
		StartNS int64 `json:"start_ns"`
		EndNS   int64 `json:"end_ns"`
		Energy
		// NetEnergyJ is the energy less what the GPU draws idle, by idle power as measured
		// before; NaN unknown.
		NetEnergyJ    float64 `json:"net_energy_j"`
		NetEnergyErrJ float64 `json:"net_energy_err_j"`
	}
	// Sleep tells that a GPU that is watched was suspended, or is awake again. Between the
	// two nothing reads it: there is no telemetry, and none is missing.
	Sleep struct {
		At
		GPU    string `json:"gpu"`
		Asleep bool   `json:"asleep"`
	}
	// Processes is what a GPU that is watched drew since the watching began, and which
	// process took how much of it by Rule; told now and then, and at the end.
	Processes struct {
		At
		GPU     string `json:"gpu"`
		SinceNS int64  `json:"since_ns"`
		Energy         // of KnownS; its error is all intervals' added up
		// IdleEnergyJ is of EnergyJ what was drawn while no process did anything: nobody's.
		IdleEnergyJ float64 `json:"idle_energy_j"`
		KnownS      float64 `json:"known_s"`
		// UnknownS is for how long the energy is not known: it slept, or was not read.
		UnknownS float64 `json:"unknown_s"`
		// UndividedS is for how much of KnownS the driver did not say which process was at
		// work.
		UndividedS float64         `json:"undivided_s"`
		Rule       string          `json:"rule"` // see gpu.Ledger
		List       []ProcessEnergy `json:"processes"`
		Asleep     bool            `json:"asleep,omitempty"`
		Err        string          `json:"error,omitempty"` // why processes are not known
	}
	// ProcessEnergy is what one process took, about.
	ProcessEnergy struct {
		gpu.Process
		SinceNS    int64   `json:"since_ns"` // when it was first seen
		Gone       bool    `json:"gone,omitempty"`
		SMPct      float64 `json:"sm_pct"`     // of the last seconds; null where the driver does not tell
		DRAMPct    float64 `json:"memory_pct"` // the same
		EnergyJ    float64 `json:"energy_j"`   // null where none of the time was divided
		EnergyErrJ float64 `json:"energy_err_j"`
	}
	// Mark is an operator's note.
	Mark struct {
		At
		Note string `json:"note"`
	}
	// Warning is something the operator should know; the run goes on.
	Warning struct {
		At
		Text string `json:"text"`
	}
	// Error is a failure of a part of the run.
	Error struct {
		At
		Text      string `json:"text"`                 // the whole of it
		PointID   string `json:"point_id,omitempty"`   // of the point that failed; "" none
		What      string `json:"what,omitempty"`       // what happened, less point and last words; "": Text
		LastWords string `json:"last_words,omitempty"` // of a process that ended, " | " between lines
	}
	// State tells whether the run is going, paused, or about to stop.
	State struct {
		At
		State RunState `json:"state"`
	}
)

// ServerTelemetry is what a server's telemetry is worth.
type ServerTelemetry struct {
	Kinds      []string `json:"kinds"`      // of servers, by what was read
	Looks      int      `json:"looks"`      // at its pages
	Failed     int      `json:"failed"`     // of these, nothing came
	Records    int      `json:"records"`    // of passes
	Lost       int64    `json:"lost"`       // records that are missing, by their numbers
	Malformed  int      `json:"malformed"`  // pages and records that do not read
	Impossible int      `json:"impossible"` // values that cannot be
	Restarts   int      `json:"restarts"`   // counters that went back, files that began anew
	Workers    int      `json:"workers"`    // that told of passes
	Slots      int      `json:"slots"`      // of llama-server; 0 unknown
	// SkewS is by how much the server's wall clock is ahead of this machine's, in s, and
	// SkewMostS by how much that may be off at most; NaN unknown. SkewSteps is how often
	// what it said of the time contradicted what it had said.
	SkewS     float64 `json:"skew_s"`
	SkewMostS float64 `json:"skew_most_s"`
	SkewSteps int     `json:"skew_steps"`
	Stopped   bool    `json:"stopped"` // it tells nothing any more
}

// Energy is an energy with its error and how it was obtained.
type Energy struct {
	EnergyJ    float64 `json:"energy_j"`     // NaN: unresolved
	EnergyErrJ float64 `json:"energy_err_j"` // half-width of a 95 % interval
	Method     string  `json:"energy_method"`
}

// Point is one configuration of a sweep (or one part of a run).
type Point struct {
	PointID        string `json:"point_id"`
	GPU            string `json:"gpu"`
	Model          string `json:"model"`
	Dataset        string `json:"dataset"`
	BatchSize      int    `json:"batch_size"`
	Policy         string `json:"policy"`
	RequestedSMMHz int    `json:"requested_sm_mhz"` // 0: the driver's default, or by phase
	Repeat         int    `json:"repeat"`           // from 1
	Queries        int    `json:"queries"`
	// Routed: each query was sent to the model that its class asks for, so that the
	// point's are a part of the dataset, and its means no model's over the whole.
	Routed bool `json:"routed,omitempty"`
	// Knobs are those requested beside the SM clock.
	Knobs gpu.Setting `json:"knobs,omitzero"`
	Drafting
}

// ClockAlone is the SM clock that the point is to run at, MHz, where that is all that is
// set: with other knobs it is a setting of its own. 0 where it is not.
func (p Point) ClockAlone() int {
	if p.Knobs != (gpu.Setting{}) {
		return 0
	}
	return max(p.RequestedSMMHz, 0)
}

// PointResult is what a point came to; times and energies are means per query.
type PointResult struct {
	AchievedSMMHz float64 `json:"achieved_sm_mhz"`
	// AchievedMemMHz is the mean memory clock; AchievedLimitW the power limit in force,
	// where one was requested.
	AchievedMemMHz float64 `json:"achieved_mem_mhz"`
	AchievedLimitW float64 `json:"achieved_power_limit_w"`
	// Held is what held the SM clock in each kind of phase.
	Held         HeldPhases `json:"held"`
	InputTokens  float64    `json:"input_tokens"`
	OutputTokens float64    `json:"output_tokens"`
	PrefillS     float64    `json:"prefill_s"`
	DecodeS      float64    `json:"decode_s"`
	LatencyS     float64    `json:"latency_s"`
	TokensPerS   float64    `json:"tokens_per_s"` // generated (or scored) over the point's time
	Energy
	NetEnergyJ     float64 `json:"net_energy_j"`
	PrefillEnergyJ float64 `json:"prefill_energy_j"`
	DecodeEnergyJ  float64 `json:"decode_energy_j"`
	JoulesPerToken float64 `json:"joules_per_token"`
	EDPJS          float64 `json:"edp_js"`
	MeanPowerW     float64 `json:"mean_power_w"`
	Quality        float64 `json:"quality"`
	ThrottledPct   float64 `json:"throttled_pct"`
	TempStartC     float64 `json:"temp_start_c"`
	TempEndC       float64 `json:"temp_end_c"`
	Drafted
	Flags Flags  `json:"flags"` // its requests', and its own
	Err   string `json:"error,omitempty"`
}

// PhaseSpan is a phase of a batch that has ended.
type PhaseSpan struct {
	BatchID        string `json:"batch_id"`
	PointID        string `json:"point_id,omitempty"` // "" in pauses
	GPU            string `json:"gpu"`
	Phase          Phase  `json:"phase"`
	StartNS        int64  `json:"start_ns"`
	EndNS          int64  `json:"end_ns"`
	BatchSize      int    `json:"batch_size"`
	Tokens         int    `json:"tokens"` // processed or generated, over the batch
	RequestedSMMHz int    `json:"requested_sm_mhz"`
	// Model is the model that ran, with what else of it changes its power (layers
	// on the GPU, devices); empty in pauses.
	Model string `json:"model,omitempty"`
	// ThrottledPct is for how much of the time a power or thermal limit held the
	// clock down, in percent; NaN unknown.
	ThrottledPct float64 `json:"throttled_pct"`
}
