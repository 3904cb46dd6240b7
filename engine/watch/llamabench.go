package watch

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"jouletop/gpu/plaintext"
)

// What is believed at most.
const (
	mostTokens = 1e12
	mostRuns   = 1e6
	// agree is by how much figures that say the same may differ.
	agree = 0.02
	// mostSpread is the relative deviation of speeds from whose mean a time is taken.
	mostSpread = 0.05
)

// llamaTest is what llama-bench tells of a test (llama.cpp, tools/llama-bench).
type llamaTest struct {
	Model    string    `json:"model_filename"`
	Backends string    `json:"backends"`
	Layers   *int      `json:"n_gpu_layers"`
	Prompt   int       `json:"n_prompt"`
	Gen      int       `json:"n_gen"`
	Depth    int       `json:"n_depth"`
	Began    string    `json:"test_time"`
	AvgNS    float64   `json:"avg_ns"`
	TPS      float64   `json:"avg_ts"`
	Dev      float64   `json:"stddev_ts"`
	Samples  []float64 `json:"samples_ns"`

	with   map[string]string // settings
	untold bool              // how long its runs took is not told well enough
}

// settings are what tells tests of one name apart.
var settings = []string{
	"model_type", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "n_gpu_layers", "n_cpu_moe", "split_mode", "main_gpu", "no_kv_offload",
	"flash_attn", "devices", "tensor_split", "tensor_buft_overrides", "load_mode", "use_mmap", "embeddings", "no_op_offload", "no_host",
}

// json reads an object: a test of llama-bench, or vLLM's result.
func (r *Reader) json(text []byte, atNS int64) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(text, &raw) != nil {
		return // somebody else's
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if raw[n] == nil {
				return false
			}
		}
		return true
	}
	switch {
	case has("n_prompt", "n_gen", "avg_ts", "samples_ns"):
		var t llamaTest
		if err := json.Unmarshal(text, &t); err != nil {
			r.doubt("llama-bench: a test does not read: %v", err)
			return
		}
		t.with = map[string]string{}
		for _, s := range settings {
			if v := raw[s]; v != nil {
				t.with[s] = strings.Trim(string(v), `"`)
			}
		}
		r.llama(t, len(t.Samples), atNS)
	case has("total_input_tokens", "total_output_tokens", "duration"):
		r.vllm(text)
	}
}

// comma reads a line of llama-bench's CSV.
func (r *Reader) comma(line string, atNS int64) {
	cells, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return
	}
	if cells[0] == "build_commit" {
		r.csv = cells
		return
	}
	if len(cells) != len(r.csv) {
		return
	}
	of := map[string]string{}
	for i, name := range r.csv {
		of[name] = cells[i]
	}
	t := llamaTest{Model: of["model_filename"], Backends: of["backends"], Began: of["test_time"], with: map[string]string{}}
	whole := func(name string) int {
		n, err := strconv.Atoi(of[name])
		if err != nil {
			return -1
		}
		return n
	}
	number := func(name string) float64 {
		x, err := strconv.ParseFloat(of[name], 64)
		if err != nil {
			return math.NaN()
		}
		return x
	}
	t.Prompt, t.Gen, t.Depth = whole("n_prompt"), whole("n_gen"), max(whole("n_depth"), 0)
	t.AvgNS, t.TPS, t.Dev = number("avg_ns"), number("avg_ts"), number("stddev_ts")
	if layers := whole("n_gpu_layers"); layers >= 0 {
		t.Layers = &layers
	}
	for _, s := range settings {
		t.with[s] = of[s]
	}
	r.llama(t, r.args.runs, atNS)
}

// columns are those of a Markdown table.
type columns []string

var (
	testName = regexp.MustCompile(`^(?:pp(\d{1,9}))?(?:\+?tg(\d{1,9}))?(?: @ d(\d{1,9}))?$`)
	meanDev  = regexp.MustCompile(`^(\d+(?:\.\d+)?)(?: ± (\d+(?:\.\d+)?))?$`)
)

// markdown reads a line of llama-bench's table.
func (r *Reader) markdown(line string, atNS int64) {
	var cells []string
	for c := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(c))
	}
	n := len(cells)
	if n > 2 && cells[0] == "model" && cells[n-1] == "t/s" && cells[n-2] == "test" {
		r.table = cells
		return
	}
	if r.table == nil || n != len(r.table) || strings.HasPrefix(cells[0], "---") {
		return
	}
	name, speed := testName.FindStringSubmatch(cells[n-2]), meanDev.FindStringSubmatch(cells[n-1])
	if name == nil || cells[n-2] == "" || speed == nil {
		return
	}
	count := func(s string) int { x, _ := strconv.Atoi(s); return x } // "" is none
	t := llamaTest{Prompt: count(name[1]), Gen: count(name[2]), Depth: count(name[3]), Dev: math.NaN(), with: map[string]string{}}
	t.TPS, _ = strconv.ParseFloat(speed[1], 64) // digits
	if speed[2] != "" {
		t.Dev, _ = strconv.ParseFloat(speed[2], 64) // digits
	}
	// The mean of speeds is a little above the speed of the mean: by the square of their
	// relative deviation, as long as that is small.
	spread := t.Dev / t.TPS
	t.AvgNS = 1e9 * float64(t.Prompt+t.Gen) / t.TPS * (1 + spread*spread)
	t.untold = !(spread <= mostSpread) && r.args.runs > 1
	for i, c := range r.table[:n-2] {
		switch c {
		case "model":
			t.Model = cells[i]
		case "backend":
			t.Backends = cells[i]
		case "ngl":
			if layers, err := strconv.Atoi(cells[i]); err == nil {
				t.Layers = &layers
			}
			t.with["n_gpu_layers"] = cells[i]
		case "size", "params":
		default:
			t.with[c] = cells[i]
		}
	}
	r.llama(t, r.args.runs, atNS)
}

// llama takes a test that was run so often; 0 is unknown.
func (r *Reader) llama(t llamaTest, runs int, atNS int64) {
	name := ""
	if t.Prompt > 0 {
		name = fmt.Sprintf("pp%d", t.Prompt)
	}
	if t.Gen > 0 {
		name = strings.TrimPrefix(fmt.Sprintf("%s+tg%d", name, t.Gen), "+")
	}
	out := Test{
		Name: name, Model: modelName(t.Model), Runs: runs, Input: runs * t.Prompt, Output: runs * t.Gen,
		Seconds: math.NaN(), TokensPerS: t.TPS, TokensDev: t.Dev, CPU: onCPU(t),
	}
	tokens := float64(t.Prompt + t.Gen)
	seconds := 0.0
	for _, ns := range t.Samples {
		if !(ns > 0) {
			r.doubt("llama-bench: %s says that a run took %g ns", name, ns)
			return
		}
		seconds += ns / 1e9
	}
	if len(t.Samples) == 0 {
		seconds = float64(runs) * t.AvgNS / 1e9
	}
	switch {
	case t.Prompt < 0 || t.Gen < 0 || t.Depth < 0 || tokens == 0 || tokens > mostTokens:
		r.doubt("llama-bench: a test of %d and %d tokens", t.Prompt, t.Gen)
		return
	case runs == 0:
		r.doubt("llama-bench: %s: its table does not say how often each test is run; -o json or jsonl does", name)
		return
	case runs > mostRuns || tokens*float64(runs) > mostTokens:
		r.doubt("llama-bench: %s says that it was run %d times", name, runs)
		return
	case !(t.TPS > 0) || !(math.Abs(speed(t, runs, tokens)/t.TPS-1) < agree):
		r.doubt("llama-bench: the times of %s and its tokens a second contradict each other", name)
		return
	}
	if t.untold {
		r.doubt("llama-bench: %s: its runs differ by so much that the table does not tell how long they took; -o json or jsonl does", name)
	}
	if t.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", t.Depth) // prompts are read between its runs
		r.doubt("llama-bench: %s: what it reads before each run is in none of its figures, so that when it ran is not known", name)
	} else if !t.untold {
		out.Seconds = seconds
	}
	out.Name = name + r.variant(t.with)
	if began, err := time.Parse(time.RFC3339, t.Began); err == nil {
		out.BeganUnix = began.Unix()
	}
	if r.Test != nil {
		r.Test(out, atNS)
	}
}

// speed is the tokens a second that the times say.
func speed(t llamaTest, runs int, tokens float64) float64 {
	if len(t.Samples) == 0 {
		x := 1e9 * tokens / t.AvgNS
		if t.TPS/x < 1+2*sq(t.Dev/t.TPS)+agree && t.TPS > x {
			return t.TPS // a mean of speeds is above the speed of the mean
		}
		return x
	}
	sum := 0.0
	for _, ns := range t.Samples {
		sum += 1e9 * tokens / ns
	}
	return sum / float64(runs)
}

func sq(x float64) float64 { return x * x }

// onCPU tells of a test that used no GPU.
func onCPU(t llamaTest) bool {
	for b := range strings.SplitSeq(t.Backends, ",") {
		switch strings.TrimSpace(b) {
		case "CPU", "BLAS", "ZenDNN":
		default:
			return t.Layers != nil && *t.Layers == 0
		}
	}
	return t.Backends != ""
}

// modelName is a model file's name without its folder.
func modelName(path string) string {
	return plaintext.Line(strings.TrimSuffix(filepath.Base("/"+path), ".gguf"))
}

// variant is what a test was run with other than the first.
func (r *Reader) variant(with map[string]string) string {
	if r.first == nil {
		r.first = with
	}
	text := ""
	for _, s := range slices.Sorted(maps.Keys(with)) {
		if s != "model_type" && with[s] != r.first[s] && len(text) < 200 {
			text += fmt.Sprintf(" %s=%s", s, plaintext.Line(with[s]))
		}
	}
	return text
}

// args are what a command's arguments tell of its output.
type args struct {
	runs int // of each test; 0 unknown
}

// defaultRuns is how often llama-bench runs a test where nothing else is asked for.
const defaultRuns = 5

// readArgs reads a command line.
func readArgs(command []string) args {
	if len(command) == 0 || !strings.HasPrefix(filepath.Base(command[0]), "llama-bench") {
		return args{} // a script's are its own
	}
	a := args{runs: defaultRuns}
	for i, x := range command {
		name, value, joined := strings.Cut(x, "=")
		if name != "-r" && name != "--repetitions" {
			continue
		}
		if !joined && i+1 < len(command) {
			value = command[i+1]
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			n = 0
		}
		a.runs = n
	}
	return a
}
