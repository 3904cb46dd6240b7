package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/pflag"

	"jouletop/engine/session"
)

// options are the flags that subcommands share.
type options struct {
	gpu      string
	devices  []string
	readOnly bool
	simSpeed string
	monitor  bool

	backend    string
	models     []string
	gpuLayers  int
	threads    int
	backendDir string
	inProcess  bool
	chat       bool
	url        string
	server     serverOptions
	maxTokens  int

	datasets []string
	queries  int
	batches  []int
	repeats  int
	lenient  bool

	policy      string
	clockLoss   string // what to do about it
	maxSlowdown string
	route       string
	routeFrom   []string
	routeAlone  bool // without the baseline
	clocks      string
	blocks      bool

	session string
	resume  bool
	samples string
	seed    uint64
	price   float64
	json    bool
}

// Values of --on-clock-loss.
const (
	clockLossStop  = "stop"
	clockLossRearm = "rearm"
)

func (o *options) addGPU(f *pflag.FlagSet) {
	f.StringVar(&o.gpu, "gpu", "auto", "`GPU`: auto, nvml, sim, sim:h100 or sim:rtx-pro-6000")
	f.StringSliceVar(&o.devices, "device", []string{defaultDevice}, "`GPU` to use: index or UUID; several, as in 0,1, or all work together")
	f.BoolVar(&o.readOnly, "read-only", false, "never set a clock")
	f.StringVar(&o.simSpeed, "sim-speed", "", "simulated time against real time, a `factor` or max")
}

func (o *options) addModel(f *pflag.FlagSet) {
	f.StringVar(&o.backend, "backend", "auto", "`backend`: auto, llama, sim or remote")
	f.StringArrayVar(&o.models, "model", nil, "`model`: a GGUF path, an Ollama name, or a published shape such as llama-3.2-1b (repeatable)")
	f.IntVar(&o.gpuLayers, "gpu-layers", -1, "layers to put on the GPU, -1 for all")
	f.IntVar(&o.threads, "threads", 0, "CPU threads, 0 for the cores there are")
	f.StringVar(&o.backendDir, "backend-dir", "", "`folder` of llama.cpp's GPU backends (libggml-cuda.so)")
	f.BoolVar(&o.inProcess, "in-process", false, "run llama.cpp in this process instead of a child (a crash in it ends the program)")
	f.BoolVar(&o.chat, "chat", false, "wrap prompts in the model's chat template")
	f.StringVar(&o.url, "url", "", "`address` of an OpenAI-compatible server (--backend remote)")
	o.server.add(f)
	f.IntVar(&o.maxTokens, "max-tokens", 100, "most tokens to generate for a request")
}

func (o *options) addWork(f *pflag.FlagSet) {
	f.StringArrayVar(&o.datasets, "dataset", nil, "`dataset`: NAME=FILE, FILE, or NAME alone for built-in queries: boolq, hellaswag, truthfulqa, narrativeqa (repeatable)")
	f.IntVar(&o.queries, "queries", 0, "queries of each dataset, 0 for all there are")
	f.IntSliceVar(&o.batches, "batch", []int{1}, "batch sizes")
	f.BoolVar(&o.lenient, "lenient", false, "skip malformed dataset rows instead of failing")
	f.StringVar(&o.policy, "policy", "none", "clock `policy`: none, fixed:MHZ, phase:PREFILL/DECODE, min-energy or min-edp")
	f.StringVar(&o.clockLoss, "on-clock-loss", clockLossStop, "`what` to do when a clock that was set is lost (guard ended, somebody else's reset): stop, or rearm to set it again and go on; rows that it touched are flagged either way")
	f.StringVar(&o.maxSlowdown, "max-slowdown", "3%", "latency bound of min-energy and min-edp, against the highest clock")
}

func (o *options) addSession(f *pflag.FlagSet) {
	f.StringVar(&o.session, "session", "", "session `folder` (default: a new one under "+displayHome(sessionsDir())+")")
	f.StringVar(&o.samples, "samples", string(session.Full), "telemetry kept on disk: full, thin (a row a second and a phase) or none")
	f.Uint64Var(&o.seed, "seed", 1, "seed of everything random")
	f.Float64Var(&o.price, "price", 0.30, "price of a kWh")
}

// stateDir is where the program keeps what it writes by itself.
func stateDir() string { return filepath.Join(xdg.StateHome, "jouletop") }

// sessionsDir is where sessions go by default.
func sessionsDir() string { return filepath.Join(stateDir(), "sessions") }

// displayHome writes the home folder as ~.
func displayHome(path string) string {
	if rel, err := filepath.Rel(xdg.Home, path); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.Join("~", rel)
	}
	return path
}

// createSession starts recording into --session, or a new folder of the default
// place.
func (o *options) createSession(m session.Manifest, what string) (*session.Recorder, error) {
	keep, err := session.ParseKeep(o.samples)
	if err != nil {
		return nil, usageError{err}
	}
	dir := expandHome(o.session)
	if dir == "" {
		if dir, err = session.NewFolder(sessionsDir(), time.Now().Format("2006-01-02-150405")+"-"+what); err != nil {
			return nil, err
		}
	}
	return session.Create(dir, m, keep)
}

// speed reads --sim-speed: 0 is as fast as it goes.
func (o *options) speed(byDefault float64) (float64, error) {
	switch o.simSpeed {
	case "":
		return byDefault, nil
	case "max":
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(o.simSpeed, "x"), 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return 0, usagef("--sim-speed %q: want a factor above 0, or max", o.simSpeed)
	}
	return v, nil
}

// check finds what is wrong with the flags taken alone.
func (o *options) check() error {
	if !slices.Contains([]string{"auto", "llama", "sim", "remote"}, o.backend) {
		return usagef("--backend %q: want auto, llama, sim or remote", o.backend)
	}
	for _, b := range o.batches {
		if b < 1 || b > 4096 {
			return usagef("--batch %d: want 1 to 4096", b)
		}
	}
	if len(o.batches) == 0 {
		return usagef("--batch: no batch size")
	}
	if o.queries < 0 {
		return usagef("--queries %d: want 0 (all) or more", o.queries)
	}
	if o.maxTokens < 1 {
		return usagef("--max-tokens %d: want 1 or more", o.maxTokens)
	}
	if o.backend == "remote" && o.url == "" {
		return usagef("--backend remote: --url is needed")
	}
	if o.url != "" && o.backend != "remote" && o.backend != "auto" {
		return usagef("--url goes with --backend remote")
	}
	if err := o.server.check(o.url); err != nil {
		return err
	}
	if o.clockLoss != clockLossStop && o.clockLoss != clockLossRearm {
		return usagef("--on-clock-loss %q: want %s or %s", o.clockLoss, clockLossStop, clockLossRearm)
	}
	if _, err := o.slowdown(); err != nil {
		return err
	}
	if o.price < 0 {
		return usagef("--price %g: want 0 or more", o.price)
	}
	if _, err := session.ParseKeep(o.samples); err != nil {
		return usageError{err}
	}
	return nil
}

// slowdown reads --max-slowdown as a share: "3%" and "0.03" are the same. A bare
// number of 1 or more could be either.
func (o *options) slowdown() (float64, error) {
	text, percent := strings.CutSuffix(o.maxSlowdown, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || !(v >= 0):
		return 0, usagef("--max-slowdown %q: want a percentage such as 3%%", o.maxSlowdown)
	case !percent && v >= 1:
		return 0, usagef("--max-slowdown %s: percent or a share? Say %g%%, or %g", o.maxSlowdown, v, v/100)
	case percent:
		v /= 100
	}
	if v > 10 {
		return 0, usagef("--max-slowdown %s: more than 1000%% is no bound", o.maxSlowdown)
	}
	return v, nil
}

// expandHome makes of ~ and ~/… what a shell would, where it did not.
func expandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == filepath.Separator) {
		return filepath.Join(xdg.Home, rest)
	}
	return path
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// defaultDevice tells whether --device asks for nothing but the first GPU.
func (o *options) defaultDevice() bool { return slices.Equal(o.devices, []string{defaultDevice}) }
