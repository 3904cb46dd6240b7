package page

import (
	"cmp"
	"slices"
	"strings"

	"jouletop/tui/draw"
)

// term is a word of the screens with what it means.
type term struct{ name, means string }

// glossary explains the words of the screens, in the order of the alphabet.
var glossary = []term{
	{"± 95 %", "half of the interval that holds the true mean in 95 of 100 cases, by how much repeats differ (Student's t)"},
	{"a request", "energy of a request served in the last minute, on average"},
	{"achieved clock", "the SM clock that the GPU ran at, on average; power and heat limits may hold it below the requested one"},
	{"armed", "clocks may be set from here. The clock is given back to the driver on exit"},
	{"asleep", "the GPU is suspended by the system: a watcher neither reads nor wakes it, and looks at the bus alone until somebody else has"},
	{"baseline", "what savings are against: the highest clock, or the driver's own"},
	{"batch size", "how many prompts are worked on at once"},
	{"break-even", "the least length of a phase for which changing the clock pays, given what the change costs"},
	{"cliff", "the clock below which lowering it further saves little or no energy, by two lines fitted to the curve; its interval in brackets"},
	{"clock", "the SM clock asked for, MHz; auto leaves it to the driver. Two clocks: one for prefill, one for decode"},
	{"decode", "the phase in which the answer is made, a token of each request a step; bound by memory, so it hardly needs the clock"},
	{"DRAM", "share of the memory's bandwidth in use, by the driver"},
	{"drawn now", "energy that the GPU drew in the last ten seconds, by the tokens that were made in them: idle time and all"},
	{"EDP", "energy-delay product, J·s: energy times latency of a request. Its least value weighs both alike"},
	{"energy known", "requests whose energy the sensors have covered; the others follow within seconds"},
	{"failed", "requests that came to nothing"},
	{"flags", "what is to be minded of a row: throttled, clock lost, energy unresolved and so on; Enter on the row explains each"},
	{"goodput", "requests a second that kept to the service level (--slo)"},
	{"GPU busy", "share of the time in which a kernel ran, by the driver; it says nothing of how much of the GPU it used"},
	{"GPU since start", "energy that the GPU drew since the session began, idle time and all"},
	{"iteration", "one pass of the model over the sequences that are in it; prompts are read and answers made in the same pass"},
	{"J/token", "energy by generated token; where options were scored and nothing generated, by token read"},
	{"kept to SLO", "requests that kept to the service level, of those that ended"},
	{"knob", "what the driver lets one set: SM clock, memory clock, power limit"},
	{"last request", "the newest request whose energy is known"},
	{"latency", "time of a request from its arrival (or its batch's start) to its own last token"},
	{"made", "tokens made a second, of all requests at once"},
	{"made now", "tokens made in the last two seconds by all requests together, a second; ~ where a server's pieces of text are counted for tokens"},
	{"mixed", "several requests in different phases at once: power cannot be told apart by phase"},
	{"net energy", "energy less what the GPU draws idle in the same time"},
	{"nobody's", "energy that the GPU drew while no process did anything, by the driver's samples"},
	{"passes", "iterations a second"},
	{"peak", "the most watts since the session began"},
	{"per 1M tokens", "energy of a million tokens at this rate, and what it costs at the price of a kWh"},
	{"phase", "what the GPU does for a batch: P prefill, D decode, S score, M mixed, - idle. In the strip a phase fills the columns that it takes most of; a letter alone is one too short for that, where it began; where each column has one, every other tells it"},
	{"point", "one configuration of a sweep: model, dataset, batch size and clock (or policy), in one repeat"},
	{"policy", "which clock in which phase: none, fixed:MHZ, phase:PREFILL/DECODE, min-energy, min-edp"},
	{"power/limit", "watts now and the board's power limit"},
	{"prefill", "the phase in which the prompt is read, all of its tokens together; bound by computing, so it wants a high clock"},
	{"quality", "share of right answers, or likeness to the reference, 0 to 1, by the dataset's own measure"},
	{"queue", "requests that wait for a slot, or how long they did"},
	{"read", "prompt tokens read a second, of all requests at once"},
	{"repeat", "the same point again: only repeats tell how sure a difference is"},
	{"requested clock", "the SM clock asked for, as the driver's locked clocks"},
	{"run", "energy by token over all requests of the run so far"},
	{"run at", "the clock of least energy that is slower than the highest by no more than --max-slowdown; in brackets the clocks that the repeats cannot tell from it"},
	{"score", "answered by the log-likelihood of given options: the prompt is read with each, nothing is generated"},
	{"settle time", "from the call that sets a clock until the GPU runs at it"},
	{"SLO", "service level: bounds on TTFT, TPOT and latency that a request is to keep to"},
	{"slot", "a place for one request in a model that serves several"},
	{"SM %", "share of the last second or so in which a kernel of the process ran, by the driver, in whole percents"},
	{"SM time", "the rule by which a watched GPU's energy is estimated for processes: " + ruleMeans},
	{"source", "the power sensor that is read: buffer (a value every 20 ms), instant, or average over a second"},
	{"tensor", "share of the tensor cores' cycles in use, by the driver"},
	{"throttle", "what holds the clock down: a power or thermal limit, or nothing"},
	{"TPOT", "time per output token after the first"},
	{"TTFT", "time to the first token, as its reader saw it"},
	{"unresolved", "the sensors do not tell the energy to within 15 %"},
	{"verdict", "what a difference comes to, by its interval: lower, higher, or not resolved"},
	{"vs MHz", "the highest clock of the curve, which the change is against"},
}

// columns explain what stands under the titles of tables, where no term of the glossary
// does.
var columns = map[string]string{
	"query": "the query's number in its dataset", "model": "the model that answered", "dataset": "where the query is from",
	"clock MHz": "the SM clock asked for; auto leaves it to the driver. Two clocks: one for prefill, one for decode",
	"got MHz":   "the SM clock that the GPU ran at, on average; power and heat limits may hold it below the one asked for",
	"energy J":  "energy of the request: its share of its batch, or of the passes it was in", "energy J/query": "energy of a query, on average over the point",
	"± 95 % J/query":  "half of the interval that holds the energy of a query, by how well sensors tell it",
	"prefill J/query": "energy of reading the prompt, on average", "decode J/query": "energy of making the answer, on average",
	"prefill held by": "what held the clock in prefill: a power limit, heat, the clock asked for, or nothing", "after held by": "what held it after prefill",
	"in": "tokens of the prompt", "out": "tokens of the answer", "batch": "how many prompts were worked on at once", "class": "what kind of query it is: how long, how hard",
	"id": "the request's own number", "rep": "which repeat of the same point it is: only repeats tell how sure a difference is",
	"rate token/s": "tokens generated a second, of all requests at once", "power W": "mean power of the board over the point", "temp °C": "temperature of the GPU at the point's end",
	"time": "since the session began", "kind": "mark: a note of yours; clock: one was set or given back; policy: what it found; warning and error: what is wrong; run: one ended", "what": "what happened; Enter shows all of it",
	"energy Wh": "what the process took of a watched GPU, estimated by SM time: its share of the SMs' time, second by second", "± most Wh": "the most that rounding and sensors may be off by; that one kernel draws more than another is not in it",
	"of GPU %": "its share of what the GPU drew since the watching began; what is nobody's is left out of all shares",
	"pid":      "number of the process", "program": "its name, as far as this user may see it", "memory": "memory of the GPU that it holds, by the driver", "GPU": "the GPU it is on",
	"session": "its folder's name: when it began, and what it was; ◆ is laid beside this one", "requests": "how many requests ended in it", "points": "how many points were done in it", "size": "of its files on disk",
	"took": "from its beginning to its end", "ended": "how: completed, interrupted, failed, or crashed where it was cut off", "models": "the models that ran",
	"length": "tokens of the query", "token entropy": "Shannon entropy of its tokens, bits: more where fewer repeat", "entity density": "share of its content tokens that name somebody or something, 0 to 1", "causal score": "words that ask for a cause, a question, at most 1",
	"reasoning complexity": "words that connect causes and compare, five times their share of all words, at most 1",
	"complexity score":     "mean of four shares, 0 to 1: entropy against its most, different tokens, entities, sentence length",
}

// meaning explains a column by its title, with its unit or without; "" for one that says
// what it is.
func meaning(named, title string) string {
	title = strings.TrimSpace(title)
	for _, name := range []string{strings.TrimSpace(named), title} {
		if text, ok := columns[name]; ok {
			return text
		}
	}
	for _, t := range glossary {
		if t.name == title || strings.HasSuffix(named, t.name) {
			return t.means
		}
	}
	return ""
}

// clockTerms are the words of the clock panel.
var clockTerms = []string{"armed", "requested clock", "achieved clock", "policy", "settle time", "break-even", "throttle", "knob"}

// Explain returns what is under the cursor of a page, its columns and its terms, and then
// the other terms, each under a heading; those of the clock panel first where that stands
// beside it.
func Explain(p Page, clock bool) (out [][2]string) {
	var beside, own, rest [][2]string
	for _, t := range glossary {
		pair := [2]string{t.name, t.means}
		switch {
		case clock && slices.Contains(clockTerms, t.name):
			beside = append(beside, pair)
		case slices.Contains(p.Terms(), t.name):
			own = append(own, pair)
		default:
			rest = append(rest, pair)
		}
	}
	here, columns := p.Here()
	part := func(title string, pairs [][2]string) {
		if len(pairs) > 0 {
			out = append(append(out, [2]string{title, ""}), pairs...)
		}
	}
	part("In the clock panel", beside)
	part("Under the cursor", here)
	part("Columns", columns)
	part("On this page", own)
	part("Elsewhere", rest)
	return out
}

// here explains the chosen column and row, and all columns.
func (t *table[T]) here() (here, columns [][2]string) {
	t.grid.See(t.rows())
	at, row, ok := t.grid.Cursor()
	for i, c := range t.grid.Columns {
		text := meaning(c.Named(), c.Title)
		if text == "" {
			continue
		}
		pair := [2]string{strings.TrimSpace(c.Named()), text}
		columns = append(columns, pair)
		if i == at && ok {
			here = [][2]string{{pair[0], strings.TrimSpace(cmp.Or(c.Text(row), draw.Unknown)) + ": " + text}}
		}
	}
	if ok && t.flags != nil {
		here = append(here, flagPairs(t.flags(row))...)
	}
	return here, columns
}

// Here are the chosen column and row of the points.
func (p *Sweep) Here() (here, columns [][2]string) { return p.points.here() }

// Here are those of the table that is shown.
func (p *Rows) Here() (here, columns [][2]string) { return p.lists[p.at].here() }

// Here are those of the earlier sessions.
func (p *Session) Here() (here, columns [][2]string) { return p.earlier.here() }

// Here is the chosen curve: where it says to run.
func (p *Curves) Here() (here, columns [][2]string) {
	set := p.curveSet()
	if len(set.curves) == 0 {
		return nil, nil
	}
	k := set.curves[min(p.sel, len(set.curves)-1)]
	here = [][2]string{{"curve", set.name(k)}}
	if len(k.RunAt.Alike) > 0 {
		here = append(here, [2]string{"run at MHz", optimumText(k.RunAt) + ": " + boundText(p.Status.MaxSlowdown) + "; in brackets the clocks that cannot be told from it"})
	}
	if len(k.EDP.Alike) > 0 {
		here = append(here, [2]string{"EDP MHz", optimumText(k.EDP) + ": where energy times latency is least"})
	}
	if k.Cliff.MHz > 0 {
		here = append(here, [2]string{"cliff MHz", cliffText(k.Cliff) + ": below it a lower clock saves little or no energy"})
	}
	return here, nil
}

// Here is the chosen feature.
func (p *Workload) Here() (here, columns [][2]string) {
	for i, f := range p.data.Features {
		text := meaning(f.Name, f.Name)
		if text == "" {
			continue
		}
		columns = append(columns, [2]string{f.Name, text})
		if i == p.feature {
			here = [][2]string{{f.Name, text}}
		}
	}
	return here, columns
}

// Terms of the pages, by what stands on them.
func (p *Live) Terms() []string {
	terms := []string{"made now", "run", "last request", "per 1M tokens", "GPU since start", "peak", "DRAM", "tensor", "J/token", "TTFT", "TPOT", "throttle", "phase", "GPU busy", "power/limit", "source", "prefill", "decode", "unresolved"}
	if p.serving.on(p.Context) {
		terms = append(terms, "goodput", "SLO", "drawn now", "a request", "energy known", "kept to SLO", "made", "read", "failed", "passes", "queue", "slot", "iteration", "mixed")
	}
	return terms
}

// Terms are those of the curves.
func (p *Curves) Terms() []string {
	return []string{"run at", "EDP", "cliff", "vs MHz", "± 95 %", "J/token", "latency", "repeat", "flags"}
}

// Terms are those of the points.
func (p *Sweep) Terms() []string {
	return []string{"run at", "point", "clock", "achieved clock", "EDP", "J/token", "latency", "± 95 %", "repeat", "flags", "quality", "prefill", "decode", "vs MHz"}
}

// Terms are those of a comparison.
func (p *Compare) Terms() []string {
	return []string{"policy", "verdict", "baseline", "± 95 %", "EDP", "latency", "TTFT", "J/token", "quality", "break-even"}
}

// Terms are those of the tables.
func (p *Rows) Terms() []string {
	return []string{"clock", "latency", "J/token", "TTFT", "TPOT", "queue", "EDP", "flags", "policy", "net energy", "point"}
}

// Terms are those of the queries.
func (p *Workload) Terms() []string { return []string{"quality", "score", "point"} }

// Terms are those of the sessions.
func (p *Session) Terms() []string {
	return []string{"J/token", "latency", "TTFT", "repeat", "point", "policy", "flags"}
}
