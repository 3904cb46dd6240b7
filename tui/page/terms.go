package page

import "slices"

// term is a word of the screens with what it means.
type term struct{ name, means string }

// glossary explains the words of the screens, in the order of the alphabet.
var glossary = []term{
	{"± 95 %", "half of the interval that holds the true mean in 95 of 100 cases, by how much repeats differ (Student's t)"},
	{"achieved clock", "the SM clock that the GPU ran at, on average; power and heat limits may hold it below the requested one"},
	{"armed", "clocks may be set: a arms and disarms. The clock is given back to the driver on exit"},
	{"batch size", "how many prompts are worked on at once"},
	{"break-even", "the least length of a phase for which changing the clock pays, given what the change costs"},
	{"cliff", "the clock below which lowering it further saves little or no energy, by two lines fitted to the curve; its interval in brackets"},
	{"clock", "the SM clock asked for, MHz; auto leaves it to the driver. Two clocks: one for prefill, one for decode"},
	{"decode", "the phase in which the answer is made, a token of each request a step; bound by memory, so it hardly needs the clock"},
	{"drawn now", "energy that the GPU drew in the last ten seconds, by the tokens that were made in them: idle time and all"},
	{"EDP", "energy-delay product, J·s: energy times latency of a request. Its least value weighs both alike"},
	{"energy known", "requests whose energy the sensors have covered; the others follow within seconds"},
	{"flags", "what is to be minded of a row: throttled, clock lost, energy unresolved and so on; Enter on the row explains each"},
	{"goodput", "requests a second that kept to the service level (--slo)"},
	{"GPU busy", "share of the time in which a kernel ran, by the driver; it says nothing of how much of the GPU it used"},
	{"iteration", "one pass of the model over the sequences that are in it; prompts are read and answers made in the same pass"},
	{"J/token", "energy by generated token; where options were scored and nothing generated, by token read"},
	{"latency", "time of a request from its arrival (or its batch's start) to its own last token"},
	{"mixed", "several requests in different phases at once: power cannot be told apart by phase"},
	{"net energy", "energy less what the GPU draws idle in the same time"},
	{"passes", "iterations a second"},
	{"phase", "what the GPU does for a batch: P prefill, D decode, S score, M mixed, - idle"},
	{"point", "one configuration of a sweep: model, dataset, batch size and clock (or policy), in one repeat"},
	{"policy", "which clock in which phase: none, fixed:MHZ, phase:PREFILL/DECODE, min-energy, min-edp"},
	{"power/limit", "watts now and the board's power limit"},
	{"prefill", "the phase in which the prompt is read, all of its tokens together; bound by computing, so it wants a high clock"},
	{"quality", "share of right answers, or likeness to the reference, 0 to 1, by the dataset's own measure"},
	{"queue", "requests that wait for a slot, or how long they did"},
	{"repeat", "the same point again: only repeats tell how sure a difference is"},
	{"requested clock", "the SM clock asked for, as the driver's locked clocks"},
	{"run at", "the clock of least energy that is slower than the highest by no more than --max-slowdown; in brackets the clocks that the repeats cannot tell from it"},
	{"score", "answered by the log-likelihood of given options: the prompt is read with each, nothing is generated"},
	{"slot", "a place for one request in a model that serves several"},
	{"SLO", "service level: bounds on TTFT, TPOT and latency that a request is to keep to"},
	{"source", "the power sensor that is read: buffer (a value every 20 ms), instant, or average over a second"},
	{"throttle", "what holds the clock down: a power or thermal limit, or nothing"},
	{"TPOT", "time per output token after the first"},
	{"TTFT", "time to the first token, as its reader saw it"},
	{"unresolved", "the sensors do not tell the energy to within 15 %"},
	{"vs MHz", "the highest clock of the curve, which the change is against"},
}

// explain are the terms of a page first, and then the others.
func explain(own []string) [][2]string {
	var first, rest [][2]string
	for _, t := range glossary {
		if slices.Contains(own, t.name) {
			first = append(first, [2]string{t.name, t.means})
		} else {
			rest = append(rest, [2]string{t.name, t.means})
		}
	}
	if len(first) == 0 {
		return rest
	}
	return slices.Concat([][2]string{{"On this page", ""}}, first, [][2]string{{"Elsewhere", ""}}, rest)
}

// Explain returns the terms of the dashboard, those of p first.
func Explain(p Page) [][2]string { return explain(p.Terms()) }

// Terms of the pages, by what stands on them.
func (p *Live) Terms() []string {
	terms := []string{"J/token", "TTFT", "TPOT", "throttle", "phase", "GPU busy", "power/limit", "source", "prefill", "decode", "unresolved"}
	if p.serving.on(p.Context) {
		terms = append(terms, "goodput", "SLO", "drawn now", "energy known", "passes", "queue", "slot", "iteration", "mixed")
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
	return []string{"policy", "± 95 %", "EDP", "latency", "TTFT", "J/token", "quality", "break-even"}
}

// Terms are those of the tables.
func (p *Rows) Terms() []string {
	return []string{"clock", "latency", "J/token", "TTFT", "TPOT", "queue", "EDP", "flags", "policy", "net energy", "point"}
}
