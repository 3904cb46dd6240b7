package main

import (
	"math"
	"time"

	"github.com/spf13/pflag"

	"jouletop/engine/event"
	"jouletop/engine/operator"
	"jouletop/engine/rig"
	"jouletop/engine/serving"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/tui/preferences"
)

// options are the flags that subcommands share.
type options struct {
	operator.Config
	price    float64
	currency string
	json     bool
	slo      string
	profile  string // the file that a CPU profile goes to; "" none
}

func (o *options) addGPU(f *pflag.FlagSet) {
	f.StringVar(&o.Rig.GPU, "gpu", "auto", "`GPU`: auto, nvml, sim, sim:h100 or sim:rtx-pro-6000; several simulated ones as in sim,sim")
	f.StringSliceVar(&o.Rig.Devices, "device", []string{rig.DefaultDevice}, "`GPU` to use: index or UUID; several, as in 0,1, or all work together")
	f.BoolVar(&o.Rig.ReadOnly, "read-only", false, "never set a clock or a limit")
	f.BoolVar(&o.Rig.NoClockList, "no-clock-list", false, "leave the driver's list of supported clocks unread, where a driver hangs on it: no clock can be set then, a power limit can")
	f.StringVar(&o.Rig.SimSpeed, "sim-speed", "", "simulated time against real time, a `factor` or max")
}

func (o *options) addModel(f *pflag.FlagSet) {
	f.StringVar(&o.Rig.Backend, "backend", "auto", "`backend`: auto, llama, sim or remote")
	f.StringArrayVar(&o.Rig.Models, "model", nil, "`model`: a GGUF path, an Ollama name, or a published shape such as llama-3.2-1b (repeatable)")
	f.IntVar(&o.Rig.GPULayers, "gpu-layers", -1, "layers to put on the GPU, -1 for all")
	f.IntVar(&o.Rig.Threads, "threads", 0, "CPU threads, 0 for the cores there are")
	f.StringVar(&o.Rig.BackendDir, "backend-dir", "", "`folder` of llama.cpp's GPU backends (libggml-cuda.so)")
	f.BoolVar(&o.Rig.InProcess, "in-process", false, "run llama.cpp in this process instead of a child (a crash in it ends the program)")
	f.BoolVar(&o.Rig.NoGraphSearch, "no-graph-search", false, "leave llama.cpp's graphs as they are: copy all logits and search them here for the next token, which adds nothing to what the GPU computes and takes longer")
	f.BoolVar(&o.Work.Chat, "chat", false, "wrap prompts in the model's chat template")
	f.StringVar(&o.Rig.URL, "url", "", "`address` of an OpenAI-compatible server (--backend remote)")
	addServer(&o.Rig.Server, f)
	f.IntVar(&o.Work.MaxTokens, "max-tokens", 100, "most tokens to generate for a request")
}

func (o *options) addWork(f *pflag.FlagSet) {
	f.StringArrayVar(&o.Work.Datasets, "dataset", nil, "`dataset`: NAME=FILE, FILE, or NAME alone for built-in queries: boolq, hellaswag, truthfulqa, narrativeqa (repeatable)")
	f.IntVar(&o.Work.Queries, "queries", 0, "queries of each dataset, 0 for all there are")
	f.IntSliceVar(&o.Work.Batches, "batch", []int{1}, "batch sizes")
	f.BoolVar(&o.Work.Lenient, "lenient", false, "skip malformed dataset rows instead of failing")
	f.StringVar(&o.Work.Policy, "policy", "none", "clock `policy`: none, fixed:MHZ, phase:PREFILL/DECODE, min-energy or min-edp; with other knobs fixed:sm=1005,power=400, phase:sm=1980/1005,power=400 or min-energy:sm,mem,power")
	f.StringVar(&o.Rig.ClockLoss, "on-clock-loss", rig.ClockLossStop, "`what` to do when a clock that was set is lost (guard ended, somebody else's reset): stop, or rearm to set it again and go on; rows that it touched are flagged either way")
	f.StringVar(&o.Work.MaxSlowdown, "max-slowdown", "3%", "latency bound of min-energy and min-edp, against the highest clock")
}

// addDrafts adds what drafts tokens.
func (o *options) addDrafts(f *pflag.FlagSet) {
	f.StringVar(&o.Rig.DraftModel, "draft-model", "", "`model` that drafts tokens, which --model then verifies several at a time: as --model takes it, with the same vocabulary, or self (batches; not what is served by --arrivals or --concurrency, nor with --url)")
	f.StringVar(&o.Rig.Draft, "draft", "", "draft without a model: ngram, what followed the last tokens when they came before (as --draft-model)")
	f.IntSliceVar(&o.Work.DraftDepths, "draft-depth", nil, "tokens to draft at a time (default 4); several are run in turn, 0 decodes plainly")
}

// addRepeats adds how often things run; n is the default.
func (o *options) addRepeats(f *pflag.FlagSet, n int) {
	f.IntVar(&o.Work.Repeats, "repeats", n, "how often each combination is run")
	f.StringVar(&o.Work.Until, "until", "", "go on repeating each combination until its energy is known to within this `share`, such as 2% (the 95 % interval over its repeats)")
	f.BoolVar(&o.Work.Blocks, "phase-blocks", false, "also repeat each phase back to back, for a precise figure of its power")
}

func (o *options) addServing(f *pflag.FlagSet) {
	f.StringVar(&o.Serve.Arrivals, "arrivals", "", "serve requests as they come, by a `process`: poisson:RATE, gamma:RATE:CV (requests a second, coefficient of variation) or trace:FILE[:SPEED] (Azure, BurstGPT, Mooncake)")
	f.IntVar(&o.Serve.Concurrency, "concurrency", 0, "serve so many requests at once, the next as soon as one has ended")
	f.DurationVar(&o.Serve.Duration, "duration", 0, "how long requests come, 0 for --queries, the whole trace, or each query once")
	f.IntVar(&o.Serve.Slots, "slots", 32, "most requests under way at once, where they are served here (a server has its own)")
	f.IntVar(&o.Serve.Chunk, "prefill-chunk", 512, "most prompt tokens in one pass, where requests are served here")
	f.StringVar(&o.Serve.Schedule, "schedule", string(serving.Mixed), "what may be in one pass: mixed (decode beside parts of prompts), prefill-first, or static (batches that begin together)")
	o.addSplit(f, string(event.SplitMarginal))
	o.addSLO(f)
}

func (o *options) addSplit(f *pflag.FlagSet, usual string) {
	f.StringVar(&o.Serve.EnergySplit, "energy-split", usual, "how the energy of a pass is divided among the requests served in it: marginal (what each added, the rest the same to each), tokens or equal")
}

func (o *options) addSLO(f *pflag.FlagSet) {
	f.StringVar(&o.slo, "slo", "", "service `level` that the goodput is counted by: ttft=500ms,tpot=50ms,e2e=10s, each of them or some")
}

func (o *options) addSession(f *pflag.FlagSet) {
	f.StringVar(&o.Session, "session", "", "session `folder` (default: a new one under "+session.ShortenHome(session.DefaultDir())+")")
	f.StringVar(&o.Samples, "samples", string(session.Full), "telemetry kept on disk: full, thin (a row a second and a phase) or none")
	f.Uint64Var(&o.Rig.Seed, "seed", 1, "seed of everything random")
	addPrice(f, &o.price, &o.currency)
}

func addPrice(f *pflag.FlagSet, price *float64, currency *string) {
	f.Float64Var(price, "price", 0.30, "price of a kWh")
	f.StringVar(currency, "currency", "", "`currency` of the price, written beside it")
}

func checkPrice(price float64, currency string) error {
	if !(price >= 0) || math.IsInf(price, 1) {
		return usage.Errorf("--price %g: want 0 or more", price)
	}
	if err := preferences.CheckCurrency(currency); err != nil {
		return usage.Errorf("--currency %v", err)
	}
	return nil
}

// check settles what follows from flags and refuses what is wrong with them.
func (o *options) check() error {
	o.Program = "jouletop " + version()
	if err := checkPrice(o.price, o.currency); err != nil {
		return err
	}
	return o.Settle()
}

func (o *options) addRoute(f *pflag.FlagSet) {
	f.StringVar(&o.Work.Route, "route", "", "send each query to the model its class asks for: rule, model (a classifier trained on --route-from), or a CSV `file` of dataset,query_id,model")
	f.StringArrayVar(&o.Work.RouteFrom, "route-from", nil, "recorded session of several models that --route model learns from (repeatable)")
}

func addServer(o *rig.Server, f *pflag.FlagSet) {
	f.StringVar(&o.PromptCache, "prompt-cache", rig.CacheUnlike, "a server's prompt cache: unlike (each prompt begins with a line of its own, so that it is computed) or keep (leave it to the server)")
	f.StringVar(&o.Telemetry, "server-telemetry", rig.TelemetryAuto, "what a server tells of itself while it serves: auto (its /metrics and /slots, where it has them), off, the `address` of its metrics, or a file that is being written (vLLM's log with --enable-logging-iteration-details, or Dynamo's forward-pass metrics as JSON lines); auto,FILE is both")
	f.DurationVar(&o.Request, "request-timeout", 10*time.Minute, "longest that a server may take for one request")
	f.DurationVar(&o.Stall, "stall-timeout", 2*time.Minute, "longest that a server may send nothing in a request")
	f.DurationVar(&o.LoadTime, "load-timeout", 10*time.Minute, "longest that a server may take to load its model")
}
