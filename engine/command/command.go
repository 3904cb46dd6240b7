// Package command is what an operator can ask of a running session and is told
// about it: the words that a dashboard and whoever carries out its commands have
// in common. It is a leaf: types and one interface, no code.
package command

import (
	"errors"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// ErrArmFirst: what was asked for sets a clock, and clock control is not armed.
var ErrArmFirst = errors.New("arm it first")

// Controller is what the operator may ask for. The dashboard calls it from
// goroutines of its own, one call at a time for each key press, never while
// drawing; results that matter come back on the stream as well. An error's text
// is shown on one line as it is.
type Controller interface {
	// Status is asked about once a second and after every command.
	Status() Status
	// Choices lists what can be run and set.
	Choices() (Choices, error)

	// Arm allows (or forbids again) setting clocks on a real GPU. The text says
	// what may be set and that it is given back on exit; the error says how to get
	// permission.
	Arm(on bool) (string, error)
	// SetClock locks the SM clock to mhz, one of the GPU's: for every phase where
	// phase is "", else for event.Prefill, event.Decode or event.Score. It takes
	// effect at once, in mid-run.
	SetClock(phase event.Phase, mhz int) error
	// SetKnob sets another knob, to a value in the driver's unit (see gpu.KnobID) that
	// it takes (gpu.Knob.Check); 0 gives it back. It takes effect at once.
	SetKnob(k gpu.KnobID, v int) error
	// GiveBack gives every knob back: the clocks to the driver, for all phases, and the
	// power limit to what it was before.
	GiveBack() error
	// SetPolicy takes a policy as --policy does: none, fixed:1005,
	// fixed:sm=1005,power=400, phase:1980/1005, min-energy, min-edp.
	SetPolicy(spec string) error

	// StartJob queues a job, run after those already asked for.
	StartJob(Job) error
	// Forecast says what a plan comes to, without running it. An error names the part that
	// is wrong.
	Forecast(Sweep) (Forecast, error)
	// MoveJob moves a job that waits by so many places, sooner where by is negative;
	// CancelJob takes it from the queue, or, where it runs, ends it after its batch.
	MoveJob(id, by int) error
	CancelJob(id int) error
	// RunPrompt queues one prompt of the operator's own, to run next.
	RunPrompt(text string) error
	// StartSweep runs a plan. An error names the part that is wrong.
	StartSweep(Sweep) error
	// ChangePace has requests that come by a rate come by times as fast as they do now;
	// it returns how many times as fast as planned that is.
	ChangePace(by float64) (times float64, err error)
	// Pause and Resume hold jobs back between batches.
	Pause() error
	Resume() error
	// SkipPoint gives up the running point of a sweep.
	SkipPoint() error
	// Stop ends after the running batch, everything saved. It returns at once; the
	// stream says event.RunEnd (or State idle) when it has.
	Stop() error

	// End ends the session as quitting does: after the running batch everything
	// is saved, the clock given back and the stream closed. It returns at once; the
	// dashboard leaves when the stream is closed.
	End() error

	// Mark puts a note into the session.
	Mark(note string) error
	// Export writes the session's files to path ("" for a place of the controller's
	// choice), and a zip file of them beside it, and returns where they are, in words.
	Export(path string) (string, error)
	// Workload describes the queries of the datasets in use.
	Workload() (Workload, error)
	// Sessions lists earlier sessions, newest first.
	Sessions() ([]SessionInfo, error)
	// OpenSession reads an earlier session, to lay it beside this one.
	OpenSession(path string) (SessionDetail, error)

	// SetReplaySpeed sets how many times real time a replay runs at, 1 to 50; 0
	// holds it.
	SetReplaySpeed(times float64) error
	// SeekTo moves a replay to the time t (ns of the session's time base). The
	// stream then begins again at the session's start, with event.RunStart, and
	// catches up to t at once.
	SeekTo(t int64) error
}

// Status is what the stream does not say.
type Status struct {
	// NowNS is the time of the events' clock, where that is real; live values age by
	// it. 0 where it is simulated or replayed: they age by the events.
	NowNS int64
	// Armed: SetClock may set clocks. ReadOnly: it never will (--read-only).
	Armed    bool
	ReadOnly bool
	// Permission says in a sentence how to get permission; empty where there is.
	Permission string
	// HeldBy says in a sentence who else may set knobs of a GPU, or has set some, and
	// which; empty where nobody has.
	HeldBy string
	// Policy is the policy in force, and the clocks it (or the operator) asks for
	// by phase, MHz; 0 leaves a phase to the driver.
	Policy                 string
	Prefill, Decode, Score int
	// Knobs is what was asked of the first GPU's knobs and is in force, as far as is known.
	Knobs  gpu.Setting
	Paused bool
	// Alarm is what must be seen on every screen until it is over, in a sentence;
	// mostly empty.
	Alarm string
	// Processes are the others on the GPU, by gpu.Info.ID.
	Processes map[string][]gpu.Process
	// Tenants tells, by gpu.Info.ID, what processes took of GPUs that are watched; nil where
	// none are, and Processes holds.
	Tenants map[string]event.Processes
	// PowerSources are the ones found, by gpu.Info.ID.
	PowerSources map[string][]gpu.PowerSource
	// Hidden explains what MIG, the driver or the platform hides, a sentence each.
	Hidden []string
	// Session is the session being recorded or replayed; no Path when none is.
	Session SessionInfo
	Files   []File
	// Queue are the jobs, the one that runs first.
	Queue []Queued
	// SLO is the service level that requests are served by, as --slo takes it; "" none.
	SLO string
	// MaxSlowdown is by how much, as a share, the clock to run at may be slower than the
	// highest.
	MaxSlowdown float64
	// Dropped counts telemetry that the screen (not the recorder) did not see.
	Dropped uint64
	// Replay is set in a replay alone.
	Replay *Replay
}

// Replay is where a replay stands, in ns of the session's time base.
type Replay struct {
	StartNS, AtNS, EndNS int64
	Speed                float64 // times real time; 0: held
}

// File is a file of the session folder.
type File struct {
	Name  string
	Bytes int64
}

// Choices is what can be run and set on this machine. The first of each is the
// one that is taken where the operator does not choose.
type Choices struct {
	Models   []Choice
	Datasets []Choice
	Batches  []int
	Policies []string // specs
	Clocks   []int    // supported SM clocks, ascending, MHz
	Knobs    []gpu.Knob
	// Arming is what is to be read before knobs may be set: which, and what else comes of
	// it; empty where there is nothing to lose.
	Arming string
}

// Choice is a thing to choose by name.
type Choice struct {
	Name string
	Note string // a few words: size, place, number of queries
}

// Job asks for one run of queries.
type Job struct {
	Model     string // a name, or a file
	Dataset   string // the same
	Batch     int
	Queries   int
	MaxTokens int
	Repeats   int    // 0 is 1
	Policy    string // a spec; "" leaves the operator's in force
	Until     string // repeats go on until energies are known so well: 2%; "" do not
}

// Sweep is the job as a plan of one combination.
func (j Job) Sweep() Sweep {
	return Sweep{
		Models: []string{j.Model}, Datasets: []string{j.Dataset}, Policies: []string{j.Policy}, Batches: []int{j.Batch}, Repeats: j.Repeats,
		Queries: j.Queries, MaxTokens: j.MaxTokens, Until: j.Until,
	}
}

// Sweep asks for every combination of its parts. Where Policies is given it
// takes the place of Clocks (a comparison); a policy "" leaves the operator's in force.
type Sweep struct {
	Models    []string
	Datasets  []string
	Clocks    string   // as --clocks takes them: 180,960,2842 | MIN:MAX:COUNT | all | paper
	Knobs     []string // other knobs, as --sweep takes them: power=200:700:6
	Policies  []string // specs
	Batches   []int
	Repeats   int
	Queries   int // a point and repeat
	MaxTokens int
	Until     string // as a Job's
}

// Forecast is what a plan comes to.
type Forecast struct {
	Settings         int // clocks or policies
	Points, Requests int
	Seconds          float64 // about; NaN before anything alike has run
	Unknown          int     // points of which that is not known; Seconds is of the others
	Rough            bool    // some of it is like what has run by its model alone
}

// Queued is a job that runs or waits.
type Queued struct {
	ID               int
	Name             string // a few words
	Points, Requests int
	Done             int     // points
	Seconds          float64 // left, about; NaN unknown
	Unknown          int     // as a Forecast's
	Rough            bool    // as a Forecast's
	Running          bool
	Policies         []string // that it compares; nil: it is no comparison
}

// Workload describes queries by named features.
type Workload struct {
	Features []Feature
	Queries  []WorkloadQuery
}

// Feature names a column of WorkloadQuery.Values.
type Feature struct {
	Name string // length, entropy, entity density, …
	Unit string // tokens, bits, …; may be empty
}

// WorkloadQuery is one query with its features.
type WorkloadQuery struct {
	Dataset string
	ID      string
	Class   string    // easy or hard; empty unknown
	Text    string    // its first words are enough
	Values  []float64 // one a Feature; NaN unknown
}

// SessionInfo names a session folder.
type SessionInfo struct {
	Path      string
	Name      string
	Start     time.Time
	Duration  time.Duration
	GPU       string
	Simulated bool
	Models    []string
	Requests  int
	Points    int
	Bytes     int64
	How       event.How // empty while it runs
}

// SessionDetail is an earlier session's results.
type SessionDetail struct {
	SessionInfo
	Points   []event.PointDone
	Requests []event.RequestEnergy
}
