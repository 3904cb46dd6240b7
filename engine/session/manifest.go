package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/gpu"
	"jouletop/gpu/host"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
)

// Schema is the version of the layout this program writes. It reads this one
// and those before it.
const Schema = 1

// Manifest says what a session is and how it was made.
type Manifest struct {
	Schema    int       `json:"schema"`
	Program   string    `json:"program"` // jouletop and its version
	Name      string    `json:"name"`    // run, sweep, dashboard, monitor
	Simulated bool      `json:"simulated"`
	Note      string    `json:"note,omitempty"` // what the numbers do not mean
	Start     time.Time `json:"start"`
	End       time.Time `json:"end,omitzero"`
	Ended     event.How `json:"ended,omitempty"` // empty: not yet, or it crashed
	Error     string    `json:"error,omitempty"`
	Host      Host      `json:"host"`
	TimeBase  TimeBase  `json:"time_base"`
	GPUs      []GPU     `json:"gpus"`

	// HostSources tell what the machine around the GPUs draws, in host.csv; HostUnread are
	// those that could not be read, and why.
	HostSources []host.Source  `json:"host_sources,omitempty"`
	HostUnread  []host.Problem `json:"host_unread,omitempty"`

	Backend    string   `json:"backend"`
	BuildFlags []string `json:"build_flags,omitempty"` // instruction sets the engine uses
	// NoGraphSearch: the best tokens were searched in copied logits, not by nodes added
	// to llama.cpp's graphs.
	NoGraphSearch bool               `json:"no_graph_search,omitempty"`
	Models        []engine.ModelInfo `json:"models,omitempty"`
	Datasets      []Dataset          `json:"datasets,omitempty"`
	// Command is the command that was watched; nil for a run of our own.
	Command    *Command `json:"command,omitempty"`
	Requests   int      `json:"requests"` // done, once the session has ended
	Plan       Plan     `json:"plan"`
	Seed       uint64   `json:"seed"`
	SampleKeep string   `json:"samples"` // full, thin, none
	Warnings   []string `json:"warnings,omitempty"`
	// PromptCache says what was done about a server's prompt cache; nil without a server.
	PromptCache *PromptCache `json:"prompt_cache,omitempty"`
	// Flags says what the words in the flags columns mean.
	Flags map[event.Flag]string `json:"flags,omitempty"`
}

// Host is the machine.
type Host struct {
	Name   string `json:"name"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
}

// TimeBase says what t_ns counts.
type TimeBase struct {
	Kind   string `json:"kind"` // monotonic or simulated
	BootID string `json:"boot_id,omitempty"`
	// WallOffsetNS added to a monotonic time gives ns since the Unix epoch.
	WallOffsetNS int64   `json:"wall_offset_ns,omitempty"`
	SimSpeed     float64 `json:"sim_speed,omitempty"` // 0 with a simulated base: as fast as it goes
}

// GPU is a GPU as it was found.
type GPU struct {
	ID string `json:"id"` // the files' gpu column
	gpu.Info
	Sensors   []gpu.PowerSource `json:"sensors"`
	Processes []gpu.Process     `json:"other_processes,omitempty"`
}

// Dataset is a dataset as it was used.
type Dataset struct {
	Name    string `json:"name"`
	Path    string `json:"path"` // builtin:NAME for the program's own queries
	SHA256  string `json:"sha256,omitempty"`
	Rows    int    `json:"rows"`
	Skipped int    `json:"skipped,omitempty"`
}

// Plan is what was to be done, in the words of the command line.
type Plan struct {
	Models    []string `json:"models"`
	Datasets  []string `json:"datasets"`
	Queries   int      `json:"queries"` // a dataset; 0: all there are
	Batches   []int    `json:"batches"`
	Clocks    []int    `json:"clocks_mhz,omitempty"`
	Sweeps    []string `json:"sweeps,omitempty"` // of other knobs, as --sweep takes them
	Repeats   int      `json:"repeats"`
	Policy    string   `json:"policy"`
	Route     string   `json:"route,omitempty"` // how queries were sent to models: rule, model, or a file
	MaxTokens int      `json:"max_tokens"`
	Chat      bool     `json:"chat"`             // prompts were wrapped in the models' chat templates
	Points    []string `json:"points,omitempty"` // the ids, in the order they run
	Blocks    bool     `json:"phase_blocks,omitempty"`
	Until     string   `json:"until,omitempty"` // points were repeated until their energies were known so well
	// The latency bound of the clock to run at and of policies, and of a sweep how long
	// points lasted at least, and waited at most for the GPU to cool.
	MaxSlowdown string   `json:"max_slowdown,omitempty"`
	MinPointS   float64  `json:"min_point_s,omitempty"`
	CoolDownS   float64  `json:"cool_down_s,omitempty"`
	Serving     *Serving `json:"serving,omitempty"` // requests came by themselves
	// What drafted tokens: a model, or (Draft) ngram, and how many at a time.
	DraftModel  string `json:"draft_model,omitempty"`
	Draft       string `json:"draft,omitempty"`
	DraftDepths []int  `json:"draft_depths,omitempty"`
}

// Command is the command line that does the same again, with models and datasets by where
// they lay; "" for what was no run or sweep.
func (p Plan) Command(name string, m *Manifest) string {
	if name != "run" && name != "sweep" && m.Command == nil {
		return ""
	}
	args := []string{"jouletop", name}
	add := func(flag, value string) { args = append(args, flag, shellQuoted(value)) }
	var sims []string
	for _, g := range m.GPUs {
		if g.Profile != "" {
			sims = append(sims, "sim:"+g.Profile)
		}
	}
	if m.Command != nil {
		args[1] = "watch"
	}
	if len(sims) > 0 {
		add("--gpu", strings.Join(sims, ","))
	}
	if m.Command != nil {
		return strings.Join(append(args, "--", m.Command.Line()), " ")
	}
	if m.Backend == "remote" {
		add("--url", "ADDRESS") // it is not recorded: it may hold a password
	}
	for _, model := range p.Models {
		for _, o := range m.Models {
			if o.Name == model && o.Path != "" {
				model = o.Path
				break
			}
		}
		add("--model", model)
	}
	for _, d := range p.Datasets {
		for _, of := range m.Datasets {
			if of.Name == d && of.Path != "" && !strings.HasPrefix(of.Path, builtIn) {
				d += "=" + of.Path
				break
			}
		}
		add("--dataset", d)
	}
	if slices.ContainsFunc(m.Datasets, func(d Dataset) bool { return d.Skipped > 0 }) {
		args = append(args, "--lenient")
	}
	join := func(of []int) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(of), " ", ","), "[]") }
	if p.Queries > 0 {
		add("--queries", fmt.Sprint(p.Queries))
	}
	if p.Serving == nil && len(p.Batches) > 0 {
		add("--batch", join(p.Batches))
	}
	if len(p.Clocks) > 0 {
		add("--clocks", join(p.Clocks))
	}
	for _, s := range p.Sweeps {
		add("--sweep", s)
	}
	if p.DraftModel != "" {
		add("--draft-model", p.DraftModel)
	}
	if p.Draft != "" {
		add("--draft", p.Draft)
	}
	if len(p.DraftDepths) > 0 {
		add("--draft-depth", join(p.DraftDepths))
	}
	if event.PolicyOf(p.Policy).Kind != event.NoPolicy {
		add("--policy", p.Policy)
	}
	add("--repeats", fmt.Sprint(p.Repeats))
	add("--max-tokens", fmt.Sprint(p.MaxTokens))
	seconds := func(s float64) string { return time.Duration(s * 1e9).String() }
	if p.MaxSlowdown != "" {
		add("--max-slowdown", p.MaxSlowdown)
	}
	if p.MinPointS > 0 {
		add("--min-point", seconds(p.MinPointS))
	}
	if name == "sweep" && p.MaxSlowdown != "" { // else it is not recorded
		add("--cool-down", seconds(p.CoolDownS))
	}
	if p.Route != "" {
		add("--route", p.Route)
	}
	if p.Until != "" {
		add("--until", p.Until)
	}
	if s := p.Serving; s != nil {
		if s.Arrivals != "" {
			add("--arrivals", s.Arrivals)
		} else {
			add("--concurrency", fmt.Sprint(s.Concurrency))
		}
		if s.DurationS > 0 {
			add("--duration", seconds(s.DurationS))
		}
		add("--slots", fmt.Sprint(s.Slots))
		add("--prefill-chunk", fmt.Sprint(s.Chunk))
		add("--schedule", s.Schedule)
		if s.SLO != "" {
			add("--slo", s.SLO)
		}
		if s.EnergySplit != "" {
			add("--energy-split", s.EnergySplit)
		}
	}
	if p.Chat {
		args = append(args, "--chat")
	}
	if p.Blocks {
		args = append(args, "--phase-blocks")
	}
	if m.NoGraphSearch {
		args = append(args, "--no-graph-search")
	}
	add("--seed", fmt.Sprint(m.Seed))
	return strings.Join(args, " ")
}

// builtIn begins the path of the program's own queries.
const builtIn = "builtin:"

// shellQuoted quotes what a shell would take apart.
func shellQuoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,%+@", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Command is a command of somebody else's that was run and measured. What is not known is
// null.
type Command struct {
	Args   []string `json:"args"`
	Ended  string   `json:"ended,omitempty"` // in words
	Status *int     `json:"status"`          // its exit status; 128 and more: a signal's
	// InputTokens and OutputTokens are all that it says it read and generated, TokensFrom
	// where that was read, and Doubts what was printed and not believed.
	InputTokens  *int     `json:"input_tokens"`
	OutputTokens *int     `json:"output_tokens"`
	TokensFrom   string   `json:"tokens_from,omitempty"`
	Doubts       []string `json:"doubts,omitempty"`
	StartNS      int64    `json:"start_ns,omitempty"`
	EndNS        int64    `json:"end_ns,omitempty"`
	EnergyJ      *float64 `json:"energy_j"`
	EnergyErrJ   *float64 `json:"energy_err_j"` // half-width of a 95 % interval; where energy_j is null a bound
	NetEnergyJ   *float64 `json:"net_energy_j"` // less what an idle GPU draws
	NetErrJ      *float64 `json:"net_energy_err_j"`
}

// Line is the command line, quoted as a shell wants it.
func (c Command) Line() string {
	var out []string
	for _, a := range c.Args {
		out = append(out, shellQuoted(a))
	}
	return plaintext.Line(strings.Join(out, " "))
}

// Serving is how requests came and were served, in the words of the command line.
type Serving struct {
	Arrivals    string  `json:"arrivals,omitempty"`    // open loop
	Concurrency int     `json:"concurrency,omitempty"` // closed loop
	DurationS   float64 `json:"duration_s,omitempty"`
	Slots       int     `json:"slots"`
	Chunk       int     `json:"prefill_chunk"`
	Schedule    string  `json:"schedule"`
	SLO         string  `json:"slo,omitempty"` // what the goodput is counted by
	EnergySplit string  `json:"energy_split,omitempty"`
}

// PromptCache is how requests were worded for a server that keeps the beginnings
// of prompts.
type PromptCache struct {
	Mode       string   `json:"mode"` // unlike: no prompt begins as another; keep: as they are
	Note       string   `json:"note,omitempty"`
	NonceSeeds []uint64 `json:"nonce_seeds,omitempty"` // of this session, and of each time it was resumed
}

// writeManifest replaces the manifest in one step.
func writeManifest(dir string, m *Manifest) error {
	text, err := nulljson.MarshalIndent(m)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return ReplaceFile(filepath.Join(dir, ManifestFile), append(text, '\n'))
}

// ReplaceFile writes a file whole or not at all.
func ReplaceFile(path string, content []byte) error { return regular.Replace(path, content, 0o644) }

// maxManifest bounds a manifest, in bytes: a sweep of 10,000 points makes 1 MB.
const maxManifest = 64 << 20

// ReadManifest reads dir's manifest. Errors wrap ErrNotSession where there is
// none, ErrDamaged where it cannot be read, or ErrSchema.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	text, err := readSmall(path, maxManifest)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s: %w: it has no %s", dir, ErrNotSession, ManifestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("the session's manifest: %w", err)
	}
	m := &Manifest{}
	if err := nulljson.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is %w: %w", path, ErrDamaged, err)
	}
	if m.Schema < 1 || m.Schema > Schema {
		return nil, fmt.Errorf("%s: %w: version %d, this program reads up to %d", path, ErrSchema, m.Schema, Schema)
	}
	// Whatever says so counts: a simulated session never passes for a real one.
	m.Simulated = m.Simulated || m.TimeBase.Kind == simulatedTime ||
		slices.ContainsFunc(m.GPUs, func(g GPU) bool { return SimulatedGPU(g.ID) })
	return m, nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := regular.OpenInside(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return regular.Read(f, limit)
}

// SimulatedGPU tells whether a gpu column names a simulated GPU: "sim:h100". It is for
// folders whose manifest is not ours; elsewhere gpu.Info and the manifest tell.
func SimulatedGPU(id string) bool { return strings.HasPrefix(id, "sim:") }
